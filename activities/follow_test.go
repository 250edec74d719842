package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// lost is a withdrawal whose send was answered by an error.
func (w *world) lost(t *testing.T, fault lightningtest.Fault, outcomes ...lightningtest.Outcome) (id string, hash lightning.Hash) {
	t.Helper()
	id, hash = w.held(t, outcomes...)
	w.node.Inject(lightningtest.SendPayment, fault)
	state := w.send(t, id)
	require.Equal(t, workflows.StepFollow, state.Next)
	require.Equal(t, "following", w.payout(t, id).Status)

	return id, hash
}

// waits asserts that a look concluded nothing.
func (w *world) waits(t *testing.T, id string) {
	t.Helper()
	state := w.follow(t, id)
	require.Equal(t, workflows.StepFollow, state.Next)
	require.Positive(t, state.NextIn)
	require.Equal(t, "following", w.payout(t, id).Status)
	w.books(t, w.workspace, 0, amount+maxFee)
}

// settledTime is when the last send's deadline is long enough ago.
const settledTime = 36 * time.Second

func TestFollowPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Succeed(11))
	w.follow(t, id)
	w.succeeded(t, id, 11)
	w.books(t, w.workspace, maxFee-11, 0)
}

// FAILED after a lost answer is concluded from at settled time, read twice.
func TestFollowVoids(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonTimeout))
	w.waits(t, id) // Before the deadline.
	w.pass(t, id, settledTime)
	w.waits(t, id) // The first reading.
	w.waits(t, id) // Too soon after it.
	w.pass(t, id, 16*time.Second)
	w.follow(t, id)
	w.failed(t, id, payments.FailureTimeout)
	w.books(t, w.workspace, amount+maxFee, 0)
}

// Whoever looks often comes to an end too: the first reading keeps its time.
func TestFrequentReadings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonTimeout))
	w.pass(t, id, settledTime)
	for range 4 {
		w.waits(t, id)
		w.pass(t, id, 4*time.Second)
	}
	w.follow(t, id)
	w.failed(t, id, payments.FailureTimeout)
}

// A node in trouble between two readings makes the first one worth nothing.
func TestTroubleBetweenReadings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonTimeout))
	w.pass(t, id, settledTime)
	w.waits(t, id)
	w.pass(t, id, 16*time.Second)
	w.node.SetSteady(15500 * time.Millisecond)
	w.waits(t, id) // Steady, but not since the first reading: read anew.
	w.node.SetSteady(time.Second)
	w.waits(t, id) // Not settled.
	w.node.SetSteady(time.Hour)
	w.waits(t, id) // The first reading again.
	w.pass(t, id, 16*time.Second)
	w.node.Inject(lightningtest.TrackPayment, lightningtest.FailBefore)
	w.waits(t, id) // An error forgets it.
	w.waits(t, id)
	w.pass(t, id, 16*time.Second)
	w.follow(t, id)
	w.failed(t, id, payments.FailureTimeout)
}

// Never dispatched, invoice alive: sent again, once per look, backing off.
func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailBefore, lightningtest.Succeed(3))
	w.waits(t, id)
	w.pass(t, id, settledTime)
	state := w.follow(t, id)
	require.Equal(t, workflows.StepSend, state.Next)
	require.Zero(t, state.NextIn)
	require.Equal(t, 1, state.Sends)
	w.node.Inject(lightningtest.SendPayment, lightningtest.FailBefore)
	w.send(t, id)
	require.EqualValues(t, 2, w.payout(t, id).Sends)
	require.Zero(t, w.node.Initiations(hash))
	w.pass(t, id, settledTime)
	w.waits(t, id) // The second pause is twice as long.
	w.pass(t, id, settledTime)
	require.Equal(t, workflows.StepSend, w.follow(t, id).Next)
	w.send(t, id)
	w.succeeded(t, id, 3)
	require.Equal(t, 1, w.node.Initiations(hash))
	w.books(t, w.workspace, maxFee-3, 0)
}

// A decision to send by an old number of rows sends nothing.
func TestStaleDecisionToSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailBefore)
	calls := w.node.Calls(lightningtest.SendPayment)
	_, err := w.payouts.SendWithdrawal(t.Context(), workflows.SendWithdrawal{WithdrawalID: id, Sends: 0})
	require.NoError(t, err)
	require.Equal(t, calls, w.node.Calls(lightningtest.SendPayment))
	require.Zero(t, w.node.Initiations(hash))
}

// Never dispatched and expired: read twice, then void.
func TestNotDispatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailBefore)
	w.expire(t, id)
	w.waits(t, id)
	w.pass(t, id, settledTime)
	w.waits(t, id)
	w.pass(t, id, 16*time.Second)
	w.follow(t, id)
	w.failed(t, id, payments.FailureNotDispatched)
	require.Zero(t, w.node.Initiations(hash))
	w.books(t, w.workspace, amount+maxFee, 0)
}

// The node's own handler refuses each send: it ends as node_error.
func TestRefusedByTheNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, amount+maxFee)
	bolt11, preimage := w.node.OutsideInvoice(amount, time.Hour)
	r := request(bolt11, preimage.Hash())
	r.Amountless = true // An amount for an invoice that has one: lnd refuses.
	id := w.hold(t, r)
	w.send(t, id)
	w.pass(t, id, settledTime)
	w.waits(t, id)
	w.pass(t, id, 16*time.Second)
	w.follow(t, id)
	w.failed(t, id, payments.FailureNodeError)
	w.books(t, w.workspace, amount+maxFee, 0)
}

// The send takes effect after its client has given up, while the withdrawal is
// being judged: what is sent again is deduplicated by the node.
func TestDelayedSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailDelayed, lightningtest.Succeed(5))
	w.pass(t, id, settledTime)
	require.Equal(t, workflows.StepSend, w.follow(t, id).Next)
	require.Equal(t, 1, w.node.ReleaseSends())
	w.send(t, id)
	w.follow(t, id)
	w.succeeded(t, id, 5)
	require.Equal(t, 1, w.node.Initiations(hash))
	w.books(t, w.workspace, maxFee-5, 0)
}

// A second withdrawal of a hash whose first failed; the second send's answer is
// lost. The first's record is not taken for the second's.
func TestRetryOfAFailedHashWithLostAnswer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]lightningtest.Fault{
		"never sent": lightningtest.FailBefore, "sent": lightningtest.FailAfter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fund(t, w.workspace, amount+maxFee)
			bolt11, hash := w.outside(lightningtest.Fail(lightning.ReasonNoRoute), lightningtest.Succeed(9))
			first := w.hold(t, request(bolt11, hash))
			w.send(t, first)
			w.failed(t, first, payments.FailureNoRoute)
			second := w.hold(t, request(bolt11, hash))
			w.node.Inject(lightningtest.SendPayment, fault)
			w.send(t, second)
			w.pass(t, second, settledTime)
			state := w.follow(t, second)
			if fault == lightningtest.FailBefore {
				require.Equal(t, workflows.StepSend, state.Next, "the first's FAILED is not the second's")
				w.send(t, second)
			}
			w.succeeded(t, second, 9)
			w.books(t, w.workspace, maxFee-9, 0)
		})
	}
}

// A hold invoice for days: in flight, locked, visible, looked at ever more
// rarely, and then settled or canceled.
func TestHeldForDays(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]bool{"settled": true, "canceled": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(2))
			state := w.follow(t, id)
			require.Equal(t, 10*time.Second, state.NextIn)
			w.pass(t, id, 72*time.Hour)
			state = w.follow(t, id)
			require.Equal(t, 10*time.Minute, state.NextIn)
			require.Contains(t, state.Note, "in flight for 72h")
			row := w.payout(t, id)
			require.Positive(t, row.HtlcExpiryHeight)
			require.EqualValues(t, 1, row.HtlcAttempts)
			require.NotNil(t, row.CheckedAt)
			object := w.Store.Withdrawal(row)
			require.NotNil(t, object.InFlight)
			require.Equal(t, 1, object.InFlight.HTLCAttempts)
			w.books(t, w.workspace, 0, amount+maxFee)
			if settle {
				require.NoError(t, w.node.SettlePayment(hash))
				w.follow(t, id)
				w.succeeded(t, id, 2)

				return
			}
			require.NoError(t, w.node.FailPayment(hash, lightning.ReasonIncorrectDetails))
			w.waits(t, id)
			w.pass(t, id, 16*time.Second)
			w.follow(t, id)
			w.failed(t, id, payments.FailureRejectedByRecipient)
		})
	}
}

// In flight without HTLCs: after five minutes somebody is told to restart lnd.
func TestInFlightWithoutHTLCs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Stick())
	w.waits(t, id)
	require.Zero(t, w.alerts(t, activities.AlertNoHTLCs))
	w.pass(t, id, 6*time.Minute)
	w.waits(t, id)
	require.Equal(t, 1, w.alerts(t, activities.AlertNoHTLCs))
	require.NoError(t, w.node.FailPayment(hash, lightning.ReasonNoRoute))
	w.waits(t, id)
	w.pass(t, id, 16*time.Second)
	w.follow(t, id)
	w.failed(t, id, payments.FailureNoRoute)
}

// A node that went back in time: nothing is concluded from what it lacks.
func TestNodeBackInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	past := w.node.Snapshot()
	w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentFailed, 5, 0)
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.follow(t, id)
	w.exec(t, "UPDATE node SET highest_payment_index = 2")
	w.node.Restore(past)
	w.node.SetSteady(time.Hour)
	w.expire(t, id)
	for range 4 {
		w.pass(t, id, time.Minute)
		w.waits(t, id)
	}
	require.Equal(t, 1, w.alerts(t, activities.AlertNodeRegressed))
	require.Equal(t, 1, w.node.Calls(lightningtest.SendPayment), "a restored node forgets, and nobody sends again")

	// Nor does an operator void what the node may have lost.
	w.command(t, id, "void")
	_, err := w.payouts.ResolveWithdrawal(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "following", w.payout(t, id).Status)
	w.books(t, w.workspace, 0, amount+maxFee)
}
