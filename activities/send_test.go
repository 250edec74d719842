package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

func TestSendPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.held(t, lightningtest.Succeed(1234))
	w.fund(t, w.workspace, 1)
	state := w.send(t, id)
	require.Equal(t, payments.WithdrawalSucceeded, state.Status)
	w.succeeded(t, id, 1234)
	w.books(t, w.workspace, 1+maxFee-1234, 0)
	// Again finds it done.
	require.Equal(t, payments.WithdrawalSucceeded, w.send(t, id).Status)
	require.Equal(t, payments.WithdrawalSucceeded, w.follow(t, id).Status)
	w.books(t, w.workspace, 1+maxFee-1234, 0)
}

func TestSendVoidsOnFailure(t *testing.T) {
	t.Parallel()
	for reason, want := range map[lightning.FailureReason]payments.FailureCode{
		lightning.ReasonTimeout:             payments.FailureTimeout,
		lightning.ReasonNoRoute:             payments.FailureNoRoute,
		lightning.ReasonInsufficientBalance: payments.FailureNoRoute,
		lightning.ReasonIncorrectDetails:    payments.FailureRejectedByRecipient,
		lightning.ReasonError:               payments.FailureNodeError,
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.held(t, lightningtest.Fail(reason))
			w.send(t, id)
			w.failed(t, id, want)
			w.books(t, w.workspace, amount+maxFee, 0)
		})
	}
}

// No route for this fee limit, but one for more: the client is told.
func TestFeeLimitTooLow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.held(t, lightningtest.Succeed(maxFee+1))
	w.node.SetEstimate(maxFee+1, nil)
	w.send(t, id)
	w.failed(t, id, payments.FailureInsufficientFee)
	w.books(t, w.workspace, amount+maxFee, 0)
}

// Before our first send the node has a payment of the hash: nothing is sent.
func TestFence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state lightning.PaymentState
		sent  bool
	}{
		"succeeded": {lightning.PaymentSucceeded, false},
		"in flight": {lightning.PaymentInFlight, false},
		"failed":    {lightning.PaymentFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.held(t)
			w.node.ForeignPayment(hash, c.state, amount, 0)
			before := w.node.Initiations(hash)
			state := w.send(t, id)
			if c.sent {
				w.succeeded(t, id, 0)

				return
			}
			require.Equal(t, workflows.StepWait, state.Next)
			require.Equal(t, before, w.node.Initiations(hash))
			require.NotNil(t, w.payout(t, id).ReviewReason)
			require.Equal(t, 1, w.alerts(t, activities.AlertUnderReview))
			w.books(t, w.workspace, 0, amount+maxFee)
		})
	}
}

// A node that has just started finds no route, which it will have in a moment:
// nothing is sent before its channels are back. One that has been up for longer
// may lack a channel for good.
func TestSendAwaitsChannels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t, lightningtest.Succeed(0))
	w.node.Restart()
	w.node.SetChannelsActive(false)
	state := w.send(t, id)
	require.Equal(t, workflows.StepSend, state.Next)
	require.Positive(t, state.NextIn)
	w.node.SetChannelsActive(true)
	w.node.Inject(lightningtest.ComingUp, lightningtest.FailBefore)
	require.Positive(t, w.send(t, id).NextIn)
	require.Zero(t, w.node.Initiations(hash))
	w.books(t, w.workspace, 0, amount+maxFee)
	w.send(t, id)
	w.succeeded(t, id, 0)

	id, _ = w.held(t, lightningtest.Succeed(0))
	w.node.SetSteady(time.Minute)
	w.node.SetChannelsActive(false)
	w.send(t, id)
	w.succeeded(t, id, 0)
}

// A sender that was paused before its fence sees what another has sent since:
// that is no foreign payment.
func TestPausedFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t, lightningtest.Hold(0))
	w.node.Inject(lightningtest.TrackPayment, lightningtest.HangBefore)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = w.payouts.SendWithdrawal(ctx, workflows.SendWithdrawal{WithdrawalID: id})
	}()
	require.Eventually(t, func() bool { return w.node.Calls(lightningtest.TrackPayment) == 1 }, patience, 5*time.Millisecond)
	cancel()
	<-ended
	look, err := w.Store.LookAtWithdrawal(t.Context(), id)
	require.NoError(t, err)
	w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
	w.send(t, id)
	n, err := w.Store.ReviewWithdrawal(t.Context(), db.ReviewWithdrawalParams{ID: id, Reason: "late", Sends: look.Withdrawal.Sends})
	require.NoError(t, err)
	require.Zero(t, n, "judged by another number of sends")
	require.NoError(t, w.node.SettlePayment(hash))
	w.follow(t, id)
	w.succeeded(t, id, 0)
}

// A node that does not answer the fence is asked again: nothing is sent.
func TestFenceUnanswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t)
	w.node.Inject(lightningtest.TrackPayment, lightningtest.FailBefore)
	state := w.send(t, id)
	require.Equal(t, workflows.StepSend, state.Next)
	require.Positive(t, state.NextIn)
	require.Equal(t, "held", w.payout(t, id).Status)
	require.Zero(t, w.node.Initiations(hash))
	w.send(t, id)
	w.succeeded(t, id, 0)
}

// A hundred activities that were told to make the first send: one makes it.
func TestOneLicencePerNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t, lightningtest.Hold(0))
	w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
	require.Empty(t, atOnce(20, func(int) error {
		_, err := w.payouts.SendWithdrawal(t.Context(), workflows.SendWithdrawal{WithdrawalID: id})

		return err
	}))
	require.Equal(t, 1, w.node.Calls(lightningtest.SendPayment))
	require.Equal(t, 1, w.node.Initiations(hash))
	require.EqualValues(t, 1, w.payout(t, id).Sends)
}

// The freeze is read where a send is licensed: held funds stay, nothing goes.
func TestFreezeStopsSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t)
	w.freeze(t, w.workspace)
	state := w.send(t, id)
	require.Equal(t, workflows.StepSend, state.Next)
	require.Positive(t, state.NextIn)
	require.Zero(t, w.node.Calls(lightningtest.SendPayment))
	require.Zero(t, w.node.Initiations(hash))
	w.books(t, w.workspace, 0, amount+maxFee)
	w.thaw(t)
	w.send(t, id)
	w.succeeded(t, id, 0)
}

// What was never sent and no longer can be, fails.
func TestExpiredBeforeTheFirstSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t)
	w.expire(t, id)
	w.send(t, id)
	w.failed(t, id, payments.FailureNotDispatched)
	require.Zero(t, w.node.Initiations(hash))
	w.books(t, w.workspace, amount+maxFee, 0)
}

// Each void asks whether the node has gone back in time, this one too.
func TestExpiredUnsentOfANodeBackInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(*testing.T, *world)
		alerts  int
	}{
		"known": {func(t *testing.T, w *world) { w.exec(t, "UPDATE node SET regressed_at = now()") }, 0},
		"noticed": {func(t *testing.T, w *world) {
			w.exec(t, "UPDATE node SET highest_payment_index = 100")
		}, 1},
		"away": {func(_ *testing.T, w *world) {
			w.node.Inject(lightningtest.HighestIndexes, lightningtest.FailBefore)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.held(t)
			w.expire(t, id)
			c.arrange(t, w)
			state := w.send(t, id)
			require.Equal(t, workflows.StepSend, state.Next)
			require.Positive(t, state.NextIn)
			require.Equal(t, c.alerts, w.alerts(t, activities.AlertNodeRegressed))
			w.books(t, w.workspace, 0, amount+maxFee)
			w.exec(t, "UPDATE node SET regressed_at = NULL, highest_payment_index = 0")
			w.send(t, id)
			w.failed(t, id, payments.FailureNotDispatched)
		})
	}
}

// The node pays more than it was allowed: the client pays what he agreed to,
// the operator the rest.
func TestExcessFeeIsTheOperatorsLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t, lightningtest.Hold(0))
	w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
	w.send(t, id)
	require.NoError(t, w.node.SettlePayment(hash))
	w.node.EditPayment(hash, func(p *lightning.Payment) { p.FeeMsat = maxFee + 900 })
	w.follow(t, id)
	w.succeeded(t, id, maxFee)
	w.books(t, w.workspace, 0, 0)
	require.EqualValues(t, 900, w.number(t, "SELECT amount_msat FROM transfer WHERE kind = 'operator_loss_fee' AND ref = $1", id))
	require.Equal(t, 1, w.alerts(t, activities.AlertExcessFee))
}

// A success that cannot be ours is for an operator.
func TestImpossibleSuccess(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*lightning.Payment){
		"another amount":   func(p *lightning.Payment) { p.ValueMsat++ },
		"another preimage": func(p *lightning.Payment) { p.Preimage[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.held(t, lightningtest.Hold(0))
			w.node.Inject(lightningtest.SendPayment, lightningtest.FailAfter)
			w.send(t, id)
			require.NoError(t, w.node.SettlePayment(hash))
			w.node.EditPayment(hash, edit)
			require.Equal(t, workflows.StepWait, w.follow(t, id).Next)
			require.NotNil(t, w.payout(t, id).ReviewReason)
			w.books(t, w.workspace, 0, amount+maxFee)
			// Nothing automatic happens to it any more.
			w.pass(t, id, 2*time.Hour)
			require.Equal(t, workflows.StepWait, w.follow(t, id).Next)
			require.Equal(t, workflows.StepWait, w.send(t, id).Next)
			w.books(t, w.workspace, 0, amount+maxFee)
		})
	}
}

// An amountless invoice is paid with the request's amount.
func TestAmountless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, amount+maxFee)
	bolt11, preimage := w.node.OutsideInvoice(0, time.Hour)
	r := request(bolt11, preimage.Hash())
	r.Amountless = true
	id := w.hold(t, r)
	w.send(t, id)
	w.succeeded(t, id, 0)
	payment, err := w.node.TrackPayment(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, amount, payment.ValueMsat)
}
