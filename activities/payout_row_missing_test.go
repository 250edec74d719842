package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// A claim without a row is the end of a run that only looks. Whoever was told
// by a row to do something, and finds none, lost it: an alarm.
func TestWithdrawalRowLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bolt11, hash := w.outside()
	claimed, _ := w.claim(t, payments.PrefixWithdrawal, request(bolt11, hash))
	state, err := w.payouts.LookAtWithdrawal(t.Context(), claimed)
	require.NoError(t, err)
	require.Zero(t, state)
	require.Zero(t, w.alerts(t, activities.AlertRowMissing))
	for i, activity := range []func(context.Context, string) (workflows.WithdrawalState, error){
		w.payouts.FollowWithdrawal, w.payouts.SettleByBook, w.payouts.ResolveWithdrawal,
		func(ctx context.Context, id string) (workflows.WithdrawalState, error) {
			return w.payouts.SendWithdrawal(ctx, workflows.SendWithdrawal{WithdrawalID: id})
		},
	} {
		_, err = activity(t.Context(), claimed)
		requireErrType(t, err, workflows.ErrTypeRowMissing)
		require.Equal(t, i+1, w.alerts(t, activities.AlertRowMissing))
	}
	_, err = w.payouts.LookAtWithdrawal(t.Context(), "wd_none")
	requireErrType(t, err, workflows.ErrTypeRowMissing)
}
