package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
)

// A node that was replaced leaves charges behind. That the new one does not
// know their invoices says nothing: the old one may still be paid.
func TestChargesOfAnotherNodeStayOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.makeDue(t, id)
	w.Node = lightningtest.New("successor")
	_, err := w.ExpireCharge(t.Context(), id)
	require.Error(t, err)
	_, err = w.CancelCharge(t.Context(), w.cancelOrder(t, id))
	require.Error(t, err)
	require.Equal(t, payments.ChargePending, w.status(t, id))
}

// forgetful says that an invoice is settled and then that there is none.
type forgetful struct{ lightning.Node }

func (forgetful) CancelInvoice(context.Context, lightning.Hash) error {
	return lightning.ErrInvoiceSettled
}

func (forgetful) LookupInvoice(context.Context, lightning.Hash) (lightning.Invoice, error) {
	return lightning.Invoice{}, lightning.ErrInvoiceNotFound
}

func TestSettledIsNeverExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.makeDue(t, id)
	w.Node = forgetful{w.Node}
	_, err := w.ExpireCharge(t.Context(), id)
	require.Error(t, err)
	require.Equal(t, payments.ChargePending, w.status(t, id))
}
