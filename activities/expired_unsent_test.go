package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// An invoice has expired, and its row, from a backup of Postgres, knows of no
// send. What the node says decides.
func TestExpiredUnsent(t *testing.T) {
	t.Parallel()
	has := func(state lightning.PaymentState) func(*world, lightning.Hash) {
		return func(w *world, hash lightning.Hash) { w.node.ForeignPayment(hash, state, amount, 0) }
	}
	for name, c := range map[string]struct {
		arrange func(*world, lightning.Hash)
		status  string
		next    workflows.Step
	}{
		"no payment":       {func(*world, lightning.Hash) {}, "failed", workflows.StepNone},
		"it failed":        {has(lightning.PaymentFailed), "failed", workflows.StepNone},
		"it is in flight":  {has(lightning.PaymentInFlight), "held", workflows.StepWait},
		"it succeeded":     {has(lightning.PaymentSucceeded), "held", workflows.StepWait},
		"the node is away": {func(w *world, _ lightning.Hash) { w.node.SetUnavailable(true) }, "held", workflows.StepSend},
		"a lost answer":    {func(w *world, _ lightning.Hash) { w.node.Inject(lightningtest.TrackPayment, lightningtest.FailAfter) }, "held", workflows.StepSend},
		"it is just back":  {func(w *world, _ lightning.Hash) { w.node.SetSteady(time.Second) }, "held", workflows.StepSend},
		"no word of times": {func(w *world, _ lightning.Hash) {
			w.node.Inject(lightningtest.HighestIndexes, lightningtest.FailBefore)
		}, "held", workflows.StepSend},
		"gone back in time": {func(w *world, _ lightning.Hash) { w.node.ForgetPayment(lightning.Hash{1}) }, "held", workflows.StepSend},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.held(t)
			w.exec(t, "UPDATE node SET highest_payment_index = 1")
			w.node.ForeignPayment(lightning.Hash{1}, lightning.PaymentFailed, 5, 0)
			c.arrange(w, hash)
			w.expire(t, id)
			state := w.send(t, id)
			require.Equal(t, c.next, state.Next)
			require.Equal(t, c.status, w.payout(t, id).Status)
			require.Zero(t, w.node.Initiations(hash))
			switch c.next {
			case workflows.StepNone:
				w.failed(t, id, payments.FailureNotDispatched)
				w.books(t, w.workspace, amount+maxFee, 0)

				return
			case workflows.StepSend:
				require.Positive(t, state.NextIn)
				require.NotNil(t, w.payout(t, id).NextCheckAt)
			default:
				require.Contains(t, *w.payout(t, id).ReviewReason, "not ours")
			}
			w.books(t, w.workspace, 0, amount+maxFee)
		})
	}
}
