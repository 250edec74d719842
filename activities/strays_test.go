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

// sweepPayments runs the hourly sweep as an activity.
func (w *world) sweepPayments(t *testing.T) {
	t.Helper()
	env := quietSuite().NewTestActivityEnvironment()
	env.RegisterActivity(w.nodes.SweepNode)
	_, err := env.ExecuteActivity(w.nodes.SweepNode, workflows.NodeInput{Node: w.node.Name()})
	require.NoError(t, err)
}

// What the node paid before it was ours is its owner's; what withdrawals
// explain is in order; failed payments move nothing.
func TestExplainedPayments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentSucceeded, 5, 0)
	w.sweepPayments(t)
	w.fund(t, w.workspace, 10*(amount+maxFee))
	w.payNow(t) // The second payment.
	w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.node.ForeignPayment(lightning.Hash{2}, lightning.PaymentFailed, 5, 0)
	w.sweepPayments(t)
	require.Zero(t, w.number(t, "SELECT count(*) FROM stray_payment"))
	// Not over what is still under way: it could be voided.
	require.EqualValues(t, 2, w.number(t, "SELECT payments_explained_to FROM node"))
}

// A payment that nothing explains freezes the node's payouts, not its
// receipts, until an operator has said what it is.
func TestUnexplainedPaymentFreezes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentInFlight, 5, 0)
	w.sweepPayments(t)
	w.sweepPayments(t)
	require.Equal(t, 2, w.alerts(t, activities.AlertPaymentUnexplained))
	w.fund(t, w.workspace, amount+maxFee)
	w.refused(t, w.hold(t, request(w.outside())), payments.CodePayoutsFrozen)
	w.paid(t) // Receipts go on.
	require.Zero(t, w.number(t, "SELECT payments_explained_to FROM node"))
	// It failed: nothing moved, nothing is frozen.
	require.NoError(t, w.node.FailPayment(lightning.Hash{1}, lightning.ReasonTimeout))
	w.sweepPayments(t)
	w.hold(t, request(w.outside()))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM withdrawal"))
}

// A payment that comes back after the void of its withdrawal: the hash is
// refused while it is under way, and what it paid is the operator's loss, once.
func TestPaymentAfterVoid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	id, hash := w.lost(t, lightningtest.FailDelayed, lightningtest.Hold(7))
	w.expire(t, id)
	w.pass(t, id, settledTime)
	w.waits(t, id)
	w.pass(t, id, 16*time.Second)
	w.follow(t, id)
	w.failed(t, id, payments.FailureNotDispatched)

	w.node.ReleaseSends()
	w.sweepPayments(t)
	w.sweepPayments(t)
	require.Equal(t, 1, w.alerts(t, activities.AlertLatePayment))
	r := request("lnbcrt1again", hash)
	w.refused(t, w.hold(t, r), payments.CodeDuplicatePayment)

	require.NoError(t, w.node.SettlePayment(hash))
	w.sweepPayments(t)
	w.sweepPayments(t)
	require.EqualValues(t, amount+7, w.number(t, "SELECT sum(amount_msat) FROM transfer WHERE kind = 'operator_loss_payment'"))
	require.Equal(t, 2, w.alerts(t, activities.AlertLatePayment))
	w.books(t, w.workspace, amount+maxFee, 0)
	require.EqualValues(t, 1, w.number(t, "SELECT payments_explained_to FROM node"))
}

// The node's stream wakes what is followed, and has strays looked for.
func TestWatcherNudgesPayouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.watch(t)
	nudged := func() int {
		w.nudger.mu.Lock()
		defer w.nudger.mu.Unlock()
		n := 0
		for _, one := range w.nudger.withdrawals {
			if one == id {
				n++
			}
		}

		return n
	}
	require.Eventually(t, func() bool { return nudged() > 0 }, patience, 10*time.Millisecond, "on opening")
	opening := nudged()
	require.NoError(t, w.node.SettlePayment(hash))
	require.Eventually(t, func() bool { return nudged() > opening }, patience, 10*time.Millisecond, "on the end")
	w.node.ForeignPayment(lightning.Hash{9}, lightning.PaymentInFlight, 5, 0)
	require.Eventually(t, func() bool { return w.number(t, "SELECT count(*) FROM stray_payment") == 1 }, patience, 50*time.Millisecond)
}

// When what froze the payouts fails, they go on at once.
func TestFailedStrayIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	w.watch(t)
	stray := lightning.Hash{3}
	require.Eventually(t, func() bool { return w.node.Calls(lightningtest.SubscribePayments) > 0 }, patience, 10*time.Millisecond)
	w.node.ForeignPayment(stray, lightning.PaymentInFlight, 5, 0)
	open := func() bool { return w.number(t, "SELECT count(*) FROM stray_payment WHERE state = 'open'") == 1 }
	require.Eventually(t, open, patience, 50*time.Millisecond)
	require.NoError(t, w.node.FailPayment(stray, lightning.ReasonNoRoute))
	require.Eventually(t, func() bool { return !open() }, patience, 50*time.Millisecond)
}

// What is booked as a loss is not posted for another withdrawal of the hash,
// and the hash is paid for good.
func TestLossIsBookedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	id, hash := w.held(t)
	w.node.ForeignPayment(hash, lightning.PaymentSucceeded, amount, 0)
	w.send(t, id)
	outcome, detail := w.resolve(t, id, "void")
	require.Equal(t, "applied", outcome, detail)
	// The same invoice again, before the sweep has seen the payment.
	again := w.hold(t, request("lnbcrt1again", hash))
	w.send(t, again)
	w.exec(t, `INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, withdrawal_id, status, amount_msat, fee_msat, state)
		SELECT 'merchant', 1, $1, $2, $3, 'succeeded', 1, 0, 'booked'`, w.tracked(t, hash).CreatedNS, hash[:], id)
	outcome, _ = w.resolve(t, again, "post")
	require.Equal(t, "refused", outcome)
	outcome, detail = w.resolve(t, again, "void")
	require.Equal(t, "applied", outcome, detail)
	w.refused(t, w.hold(t, request("lnbcrt1once-more", hash)), payments.CodeDuplicatePayment)
}

func (w *world) tracked(t *testing.T, hash lightning.Hash) lightning.Payment {
	t.Helper()
	payment, err := w.node.TrackPayment(t.Context(), hash)
	require.NoError(t, err)

	return payment
}

// An operator's thaw: what the node has now counts from here.
func TestThaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, "UPDATE node SET regressed_at = now(), highest_add_index = 100, highest_payment_index = 100, settle_cursor = 50")
	paid := w.opened(t)
	w.pay(t, paid, 0)
	require.NoError(t, w.nodes.SweepRows(t.Context()))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"), "nobody has asked")
	w.exec(t, "UPDATE node SET thaw_requested_at = now()")
	w.watch(t)
	require.Eventually(t, func() bool {
		return w.number(t, `SELECT count(*) FROM node WHERE regressed_at IS NULL AND thaw_requested_at IS NULL
			AND highest_add_index = 1 AND settle_cursor = 1 AND highest_payment_index = 0`) == 1
	}, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool { return w.nudger.of(paid) > 0 }, patience, 50*time.Millisecond, "what the list has is found")
}
