package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
)

// lnd on SQLite gives the newest index again: what is at the mark today may be
// another payment than the one that moved it there.
func TestPaymentAtTheMarkIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.SetNativeSQL(true)
	w.node.ForeignPayment(lightning.Hash{9}, lightning.PaymentSucceeded, 5, 0) // Its owner's, from before.
	w.sweepPayments(t)
	w.sweepPayments(t)
	first := w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentFailed, 5, 0)
	w.sweepPayments(t)
	require.EqualValues(t, first.Index, w.number(t, "SELECT payments_explained_to FROM node"))
	again := w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentInFlight, 5, 0)
	require.Equal(t, first.Index, again.Index)
	w.sweepPayments(t)
	require.Equal(t, 1, w.alerts(t, activities.AlertPaymentUnexplained))
	require.NoError(t, w.node.SettlePayment(lightning.Hash{1}))
	w.sweepPayments(t)
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM stray_payment WHERE status = 'succeeded'"))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM stray_payment"), "none of its owner's")
}
