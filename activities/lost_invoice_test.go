package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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
