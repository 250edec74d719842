package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// freezes are all that stops payouts, and what has stopped them no longer does.
func freezes() map[string]func(*testing.T, *world) {
	scope := func(of func(*world) string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { w.freeze(t, of(w)) }
	}

	return map[string]func(*testing.T, *world){
		"workspace": scope(func(w *world) string { return w.workspace }),
		"node":      scope(func(w *world) string { return "node/" + w.node.Name() }),
		"all":       scope(func(*world) string { return "all" }),
		"unexplained payment": func(t *testing.T, w *world) {
			w.exec(t, `INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, status, amount_msat, fee_msat, state)
				VALUES ('merchant', 1000, 1, sha256('x'), 'in_flight', 1, 0, 'open')`)
		},
	}
}

// thawAll ends every freeze.
func (w *world) thawAll(t *testing.T) {
	t.Helper()
	w.thaw(t)
	w.exec(t, "UPDATE stray_payment SET state = 'owner'")
}

// A freeze stops holds, first sends, further sends and book transfers; when it
// ends, what was waiting goes on.
func TestFreezeStops(t *testing.T) {
	t.Parallel()
	for scope, freeze := range freezes() {
		for name, stopped := range map[string]func(t *testing.T, w *world, freeze, thaw func()){
			"a hold": func(t *testing.T, w *world, freeze, thaw func()) {
				w.fund(t, w.workspace, amount+maxFee)
				r := request(w.outside())
				freeze()
				w.refused(t, w.hold(t, r), payments.CodePayoutsFrozen)
				w.books(t, w.workspace, amount+maxFee, 0)
				thaw()
				require.Equal(t, "held", w.payout(t, w.hold(t, r)).Status)
			},
			"the first send": func(t *testing.T, w *world, freeze, thaw func()) {
				id, hash := w.held(t, lightningtest.Succeed(0))
				freeze()
				w.frozen(t, w.send(t, id), workflows.StepSend)
				require.Zero(t, w.node.Initiations(hash))
				require.Equal(t, "held", w.payout(t, id).Status)
				thaw()
				w.send(t, id)
				w.succeeded(t, id, 0)
			},
			"a further send": func(t *testing.T, w *world, freeze, thaw func()) {
				id, hash := w.lost(t, lightningtest.FailBefore, lightningtest.Succeed(0))
				freeze()
				w.pass(t, id, settledTime)
				require.Equal(t, workflows.StepSend, w.follow(t, id).Next)
				w.frozen(t, w.send(t, id), workflows.StepFollow)
				require.Equal(t, 1, w.node.Calls(lightningtest.SendPayment))
				require.Zero(t, w.node.Initiations(hash))
				thaw()
				w.toTheEnd(t, id)
				w.succeeded(t, id, 0)
			},
			"a book transfer": func(t *testing.T, w *world, freeze, thaw func()) {
				w.fund(t, w.workspace, amount)
				chargeID := w.opened(t)
				id := w.hold(t, w.ofCharge(t, chargeID))
				freeze()
				w.frozen(t, w.settleByBook(t, id), workflows.StepBook)
				require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
				thaw()
				w.settleByBook(t, id)
				w.succeeded(t, id, 0)
				require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
			},
		} {
			t.Run(scope+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				stopped(t, w, func() { freeze(t, w) }, func() { w.thawAll(t) })
			})
		}
	}
}

// frozen asserts that a step waits for the end of a freeze.
func (w *world) frozen(t *testing.T, state workflows.WithdrawalState, step workflows.Step) {
	t.Helper()
	require.Equal(t, step, state.Next)
	require.Equal(t, 30*time.Second, state.NextIn)
	require.Contains(t, state.Note, "frozen")
}

// What is under way goes on in spite of a freeze: it is followed, posted and
// voided, operators are obeyed, and charges are paid.
func TestFreezeLetsGoOn(t *testing.T) {
	t.Parallel()
	for scope, freeze := range freezes() {
		for name, goesOn := range map[string]func(t *testing.T, w *world, freeze func()){
			"following and posting": func(t *testing.T, w *world, freeze func()) {
				id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(3))
				freeze()
				w.waits(t, id)
				require.NotNil(t, w.payout(t, id).CheckedAt)
				require.NoError(t, w.node.SettlePayment(hash))
				w.follow(t, id)
				w.succeeded(t, id, 3)
			},
			"voiding what failed": func(t *testing.T, w *world, freeze func()) {
				id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonTimeout))
				freeze()
				w.toTheEnd(t, id)
				w.failed(t, id, payments.FailureTimeout)
				w.books(t, w.workspace, amount+maxFee, 0)
			},
			"voiding what was never dispatched": func(t *testing.T, w *world, freeze func()) {
				id, _ := w.lost(t, lightningtest.FailBefore)
				freeze()
				w.expire(t, id)
				w.toTheEnd(t, id)
				w.failed(t, id, payments.FailureNotDispatched)
				w.books(t, w.workspace, amount+maxFee, 0)
			},
			"voiding what expired unsent": func(t *testing.T, w *world, freeze func()) {
				id, _ := w.held(t)
				freeze()
				w.expire(t, id)
				w.send(t, id)
				w.failed(t, id, payments.FailureNotDispatched)
				require.Zero(t, w.node.Calls(lightningtest.SendPayment))
			},
			"an operator's post": func(t *testing.T, w *world, freeze func()) {
				id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Succeed(3))
				freeze()
				outcome, detail := w.resolve(t, id, "post")
				require.Equal(t, "applied", outcome, detail)
				w.succeeded(t, id, 3)
			},
			"an operator's void": func(t *testing.T, w *world, freeze func()) {
				id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonTimeout))
				w.pass(t, id, time.Minute)
				freeze()
				outcome, detail := w.resolve(t, id, "void")
				require.Equal(t, "applied", outcome, detail)
				w.failed(t, id, payments.FailureTimeout)
			},
			"settling a charge": func(t *testing.T, w *world, freeze func()) {
				freeze()
				w.paid(t)
				w.books(t, w.workspace, amount, 0)
			},
			"settling a charge that a book transfer has claimed": func(t *testing.T, w *world, freeze func()) {
				id, chargeID, payer := w.book(t)
				freeze()
				w.freeze(t, payer)
				w.receive(t, w.pay(t, chargeID, 0))
				_, err := w.SettleCharge(t.Context(), chargeID)
				require.NoError(t, err)
				require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
				w.books(t, w.workspace, amount, 0)
				w.thawAll(t)
				w.settleByBook(t, id)
				w.failed(t, id, payments.FailurePaidElsewhere)
				w.books(t, payer, amount, 0)
			},
		} {
			t.Run(scope+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				goesOn(t, w, func() { freeze(t, w) })
			})
		}
	}
}

// A freeze that comes between a licence and its call: the call is made. Its
// success is posted; its failure is not voided at once, only when it has been
// followed to settled time.
func TestFreezeDuringASend(t *testing.T) {
	t.Parallel()
	for scope, freeze := range freezes() {
		for name, outcome := range map[string]lightningtest.Outcome{
			"succeeded": lightningtest.Succeed(8), "failed": lightningtest.Fail(lightning.ReasonTimeout),
		} {
			t.Run(scope+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				id, _ := w.held(t, outcome)
				w.payouts.Node = &meddler{Node: w.node, send: func(ctx context.Context, r lightning.SendRequest, call sendCall) (*lightning.Payment, error) {
					freeze(t, w)

					return call(ctx, r)
				}}
				state := w.send(t, id)
				if name == "succeeded" {
					w.succeeded(t, id, 8)

					return
				}
				require.Equal(t, workflows.StepFollow, state.Next)
				w.waits(t, id)
				w.toTheEnd(t, id)
				w.failed(t, id, payments.FailureTimeout)
				w.books(t, w.workspace, amount+maxFee, 0)
			})
		}
	}
}

// What is frozen elsewhere does not concern a payout.
func TestFreezeOfOthers(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"ws_another", "node/another"} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.freeze(t, scope)
			w.fund(t, w.workspace, amount+maxFee)
			w.payNow(t)
		})
	}
}
