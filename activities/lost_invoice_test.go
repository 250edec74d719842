package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
)

// A node that was restored from its seed has lost the invoice of an open charge.
// Until a thaw nothing is concluded from that; after it the charge expires, and
// the node does not count as gone back in time once more.
func TestLostInvoiceExpiresAfterThaw(t *testing.T) {
	t.Parallel()
	for name, seen := range map[string]bool{"the loss was seen by the sweeper": true, "the loss is first seen at the expiry": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			lost := w.opened(t)
			w.node.Restore(lightningtest.Snapshot{})
			w.makeDue(t, lost)
			if seen {
				w.exec(t, "UPDATE node SET highest_add_index = 1")
				require.NoError(t, w.nodes.SweepRows(t.Context()))
			}
			_, err := w.ExpireCharge(t.Context(), lost)
			require.Error(t, err, "the node does not know what it has lost")
			require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"))

			w.exec(t, "UPDATE node SET thaw_requested_at = now()")
			require.NoError(t, w.nodes.Thaw(t.Context()))
			state, err := w.ExpireCharge(t.Context(), lost)
			require.NoError(t, err)
			require.Equal(t, payments.ChargeExpired, state.Status)
			require.Zero(t, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"), "frozen again")

			// A charge from after the thaw still tells that the node went back.
			fresh := w.opened(t)
			w.node.Restore(lightningtest.Snapshot{})
			w.makeDue(t, fresh)
			_, err = w.ExpireCharge(t.Context(), fresh)
			require.Error(t, err)
			require.Equal(t, payments.ChargePending, w.status(t, fresh))
		})
	}
}

// A charge was paid before its opening ended, and its client never came back; then
// the node was restored and had no such invoice. Its receipt was left without a
// credit for ever: settling needs an invoice, and only opening made one.
func TestPaidUnopenedChargeOfALostInvoiceIsCredited(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		method lightningtest.Method
		fault  lightningtest.Fault
		// back says that the client comes back before the run does.
		back bool
	}{
		"at once": {}, "the node makes it and the answer is lost": {lightningtest.AddInvoice, lightningtest.FailAfter, false},
		"the node cancels it and the answer is lost":           {lightningtest.CancelInvoice, lightningtest.FailAfter, false},
		"the node does not cancel it":                          {lightningtest.CancelInvoice, lightningtest.FailBefore, false},
		"it dies behind the cancel, and the client comes back": {lightningtest.CancelInvoice, lightningtest.FailAfter, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := w.halfOpened(t)
			w.receive(t, w.pay(t, in.ChargeID, 0))
			w.exec(t, "UPDATE node SET highest_add_index = 1")
			w.node.Restore(lightningtest.Snapshot{})
			_, err := w.SettleCharge(t.Context(), in.ChargeID)
			require.Error(t, err, "nothing is concluded before a thaw")
			require.Zero(t, w.invoices(t))

			w.exec(t, "UPDATE node SET thaw_requested_at = now()")
			require.NoError(t, w.nodes.Thaw(t.Context()))
			if fault.method != "" {
				w.node.Inject(fault.method, fault.fault)
				_, err = w.SettleCharge(t.Context(), in.ChargeID)
				require.Error(t, err)
			}
			if fault.back {
				_, err = w.OpenCharge(t.Context(), in)
				require.NoError(t, err)
			}
			state, err := w.SettleCharge(t.Context(), in.ChargeID)
			require.NoError(t, err)
			require.Equal(t, payments.ChargePaid, state.Status)
			require.False(t, state.HasReceipt)
			require.Equal(t, []string{"charge.paid"}, w.events(t, in.ChargeID))
			invoice, err := w.node.LookupInvoice(t.Context(), w.hash(t, in.ChargeID))
			require.NoError(t, err)
			require.Equal(t, lightning.InvoiceCanceled, invoice.State, "nobody pays it once more")

			// Should the client come back after all, it gets its answer.
			_, err = w.OpenCharge(t.Context(), in)
			require.NoError(t, err)
			w.created(t, in.ChargeID)
			w.sound(t)
		})
	}
}
