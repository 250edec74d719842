package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/payments"
)

const (
	// updateGrace is how long a run waits for the update that it was started
	// with before it looks at its row by itself.
	updateGrace = 15 * time.Second
	// claimedRecheck is how often a charge that a book transfer is settling
	// looks again; it is nudged when the transfer ends.
	claimedRecheck = time.Minute
	// A step that failed for a passing reason is tried again after a pause
	// that doubles up to the maximum, so that recovery is noticed in time.
	minPause = 250 * time.Millisecond
	maxPause = 8 * time.Second
	// openPause is the pause while a client waits.
	openPause = 300 * time.Millisecond
)

// Charge drives one charge from its row: it opens it for the POST that started
// the run, sleeps until a nudge, a cancel or the expiry, settles or closes it
// and delivers the event. It can be started again at any state (rule R1) and
// is its own safety net: a lost nudge delays a credit until the expiry, where
// the node decides.
func Charge(ctx workflow.Context, in ChargeInput) error {
	run := &chargeRun{rowRun: rowRun{id: in.ChargeID, touched: in.Look, pause: minPause}}
	if err := run.register(ctx); err != nil {
		return err
	}
	if in.Open != nil {
		run.openFirst(ctx, *in.Open)
	}
	if err := run.awaitFirst(ctx); err != nil {
		return err
	}

	return run.loop(ctx, run)
}

// chargeRun is what a run remembers. The row is the truth; this is a copy of
// what the last activity said of it.
type chargeRun struct {
	rowRun

	// state is nil when the row must be looked at.
	state *ChargeState
	// wake is the timer of the row's expiry; wakeAt tells when it is due.
	wake   workflow.Future
	wakeAt time.Time
}

// register installs the handlers. It runs first: an update that came with the
// start is rejected if no handler is there when the first task ends.
func (r *chargeRun) register(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, QueryState, r.describe, workflow.QueryHandlerOptions{
		Description: "What the charge is and what it waits for.",
	}); err != nil {
		return fmt.Errorf("register query: %w", err)
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateOpen, r.open, workflow.UpdateHandlerOptions{
		Description: "Open the charge of a claim.",
		Validator:   func(_ workflow.Context, in OpenCharge) error { return r.mine(in.ChargeID) },
	}); err != nil {
		return fmt.Errorf("register update: %w", err)
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateCancel, r.cancel, workflow.UpdateHandlerOptions{
		Description: "Cancel the charge for a claim.",
		Validator:   func(_ workflow.Context, in CancelCharge) error { return r.mine(in.ChargeID) },
	}); err != nil {
		return fmt.Errorf("register update: %w", err)
	}

	return r.acceptNudges(ctx)
}

// marks implements driver.
func (r *chargeRun) marks(workflow.Context) (status, paymentHash string) {
	if r.state == nil {
		return "", ""
	}

	return string(r.state.Status), r.state.PaymentHash
}

// again implements driver.
func (r *chargeRun) again(ctx workflow.Context) error {
	return workflow.NewContinueAsNewError(ctx, NameCharge, ChargeInput{ChargeID: r.id, Look: true})
}

// step takes one step from the present state; done means that a look found
// nothing to do.
func (r *chargeRun) step(ctx workflow.Context) (done bool, err error) {
	if r.nudged {
		r.nudged = false
		// A nudge usually means that a receipt is there: settling looks for it.
		if r.state == nil || r.state.Status == payments.ChargePending {
			return false, r.act(ctx, ActivitySettleCharge, "settling")
		}
		r.state = nil
	}
	switch {
	case r.state == nil:
		return false, r.act(ctx, ActivityLookAtCharge, "looking at its row")
	case r.state.HasReceipt:
		return false, r.act(ctx, ActivitySettleCharge, "settling")
	case r.state.Status == payments.ChargePending && r.state.Claimed:
		return false, r.sleep(ctx, claimedRecheck, "being settled by a book transfer")
	case r.state.Status == payments.ChargePending && r.state.DueIn <= 0:
		return false, r.act(ctx, ActivityExpireCharge, "asking the node to cancel the expired invoice")
	case r.state.Status == payments.ChargePending:
		return false, r.sleep(ctx, r.state.DueIn, "waiting for payment")
	case len(r.state.Deliveries) > 0:
		deliveries := r.state.Deliveries
		r.state.Deliveries = nil
		r.say(ctx, string(r.state.Status)+", delivering the event")

		return false, deliverFirst(ctx, deliveries)
	}
	// Closed and told, or nothing was opened; creating is resumed by a repeat.
	r.say(ctx, "nothing: "+r.statusWord())

	return true, nil
}

// act runs one activity and keeps the state that it returns. A passing failure
// is waited out; a missing row ends the run.
func (r *chargeRun) act(ctx workflow.Context, activity, doing string) error {
	r.say(ctx, doing)
	var state ChargeState
	before := r.state
	err := workflow.ExecuteLocalActivity(withLocal(ctx, doing), activity, r.id).Get(ctx, &state)
	switch {
	case err == nil:
		r.learn(before, &state)
		r.pause = minPause

		return nil
	case isErrType(err, ErrTypeRowMissing), temporal.IsCanceledError(err):
		return err
	}

	return r.waitOut(ctx, doing)
}

// learn keeps what an activity said of the row. If another said something
// meanwhile, nobody knows which of them looked later: the row is looked at.
func (r *chargeRun) learn(before, state *ChargeState) {
	if r.state != before {
		state = nil
	}
	r.state = state
}

// sleep waits for the timer, a nudge, or an update to have acted on the row.
func (r *chargeRun) sleep(ctx workflow.Context, d time.Duration, waiting string) error {
	now := workflow.Now(ctx)
	due := now.Add(d)
	// One timer serves all waits for the same expiry: each costs events.
	if r.wake == nil || r.wake.IsReady() || r.wakeAt.After(due.Add(time.Second)) {
		r.wake = workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: waiting})
		r.wakeAt = due
	}
	r.say(ctx, waiting+" until "+due.UTC().Format(time.RFC3339))
	before := r.state
	err := workflow.Await(ctx, func() bool {
		return r.nudged || r.state != before || !workflow.AllHandlersFinished(ctx) || r.wake.IsReady()
	})
	if r.wake.IsReady() && r.state == before {
		// The activity compares with Postgres' clock and may say: not yet.
		r.state.DueIn = 0
		if r.state.Claimed {
			r.state = nil
		}
	}

	return err
}

// open is the update that a POST waits for. The answer is in the claim; the
// update only says that there is one.
func (r *chargeRun) open(ctx workflow.Context, in OpenCharge) error {
	return r.serve(ctx, "opening", ActivityOpenCharge, in, in.StartBy)
}

// openFirst opens for the POST that started the run, which waits for the claim's
// answer and not for the run: an update that comes meanwhile finds the same. What
// stayed undecided is seen by the look that follows.
func (r *chargeRun) openFirst(ctx workflow.Context, in OpenCharge) {
	if err := r.open(ctx, in); err != nil {
		workflow.GetLogger(ctx).Info("not opened", "charge", r.id, "error", err)
	}
}

// cancel is the update of a POST …/cancel.
func (r *chargeRun) cancel(ctx workflow.Context, in CancelCharge) error {
	return r.serve(ctx, "canceling", ActivityCancelCharge, in, in.StartBy)
}

// serve runs a client's activity and keeps what it says of the row.
func (r *chargeRun) serve(ctx workflow.Context, doing, activity string, in any, startBy time.Time) error {
	r.touched = true
	r.say(ctx, doing)
	before := r.state

	return serveUpdate(ctx, doing, activity, in, startBy, func(state *ChargeState) {
		if state != nil {
			r.learn(before, state)
		} else {
			r.state = nil
		}
		before = r.state
	})
}

// ChargeDescription answers the state query.
type ChargeDescription struct {
	ChargeID string
	Status   string
	WaitsFor string
}

func (r *chargeRun) describe() (ChargeDescription, error) {
	return ChargeDescription{ChargeID: r.id, Status: r.statusWord(), WaitsFor: r.waits}, nil
}

func (r *chargeRun) statusWord() string {
	if r.state == nil {
		return statusWord(false, "")
	}

	return statusWord(true, string(r.state.Status))
}
