package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/workflows"
)

// What the node told of once and no longer has may have been paid: neither sent
// again nor voided, whatever newer payments the node has.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	for name, expired := range map[string]bool{"could be sent": false, "expired": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
			w.waits(t, id)
			require.NotNil(t, w.payout(t, id).PaymentIndex)
			w.node.ForgetPayment(hash)
			w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentFailed, 5, 0)
			if expired {
				w.expire(t, id)
			}
			w.pass(t, id, settledTime)
			require.Equal(t, workflows.StepWait, w.follow(t, id).Next)
			w.pass(t, id, 16*time.Second)
			w.follow(t, id)
			require.Contains(t, *w.payout(t, id).ReviewReason, "no longer has the payment")
			require.Equal(t, 1, w.alerts(t, activities.AlertUnderReview))
			require.Equal(t, 1, w.node.Initiations(hash))
			w.books(t, w.workspace, 0, amount+maxFee)
			// The way out is an operator's, once nobody can send it any more.
			outcome, detail := w.resolve(t, id, "void")
			if !expired {
				require.Equal(t, "refused", outcome, detail)

				return
			}
			require.Equal(t, "applied", outcome, detail)
			w.books(t, w.workspace, amount+maxFee, 0)
		})
	}
}

// The same between the decision to send again and the fence.
func TestLostRecordAtTheFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailBefore)
	w.exec(t, "UPDATE withdrawal SET payment_index = 7 WHERE id = $1", id)
	require.Equal(t, workflows.StepWait, w.send(t, id).Next)
	require.Zero(t, w.node.Initiations(hash))
}

// Following alone is enough to know a node that went back in time by what it
// lacks: no watcher has seen its payments.
func TestFollowingRaisesTheHighest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.node.Snapshot()
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.waits(t, id)
	w.node.Restore(before)
	w.node.SetSteady(time.Hour)
	w.pass(t, id, settledTime)
	w.waits(t, id)
	require.Equal(t, 1, w.alerts(t, activities.AlertNodeRegressed))
}
