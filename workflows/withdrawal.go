package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/payments"
)

const (
	// sendTimeout leaves a send, 20 s at most, time for the fence before it
	// and for the books after it.
	sendTimeout = 40 * time.Second
	// sendHeartbeat is when a worker that is silent in the middle of a send is
	// given up; the payment is then followed by another.
	sendHeartbeat = 6 * time.Second
)

const (
	looking = "looking at its row"
	// refusedStatus is what the search attributes call a claim that made no row.
	refusedStatus = "refused"
)

// Withdrawal drives one withdrawal from its row: it locks the funds for the
// POST that started the run, sends, follows what the node makes of it for as
// long as that takes, and delivers the event. What to do next is judged by the
// activities, by the row and the node; the run only keeps the time, so it can
// be started again at any state (rule R1).
func Withdrawal(ctx workflow.Context, in WithdrawalInput) error {
	run := &withdrawalRun{rowRun: rowRun{id: in.WithdrawalID, touched: in.Look, pause: minPause}}
	if !in.Look {
		// As the start of a POST has set it.
		run.marked = string(payments.WithdrawalHeld)
	}
	if err := run.register(ctx); err != nil {
		return err
	}
	if err := run.awaitFirst(ctx); err != nil {
		return err
	}

	return run.loop(ctx, run)
}

// withdrawalRun is what a run remembers. The row is the truth; this is a copy
// of what the last activity said of it.
type withdrawalRun struct {
	rowRun

	// state is nil when the row must be looked at.
	state *WithdrawalState
}

// register installs the handlers. It runs first: an update that came with the
// start is rejected if no handler is there when the first task ends.
func (r *withdrawalRun) register(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, QueryState, r.describe, workflow.QueryHandlerOptions{
		Description: "What the withdrawal is and what it waits for.",
	}); err != nil {
		return fmt.Errorf("register query: %w", err)
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateHold, r.hold, workflow.UpdateHandlerOptions{
		Description: "Lock the funds for the withdrawal of a claim.",
		Validator:   func(_ workflow.Context, in HoldWithdrawal) error { return r.mine(in.WithdrawalID) },
	}); err != nil {
		return fmt.Errorf("register update: %w", err)
	}

	return r.acceptNudges(ctx)
}

// marks implements driver.
func (r *withdrawalRun) marks(ctx workflow.Context) (status, paymentHash string) {
	switch {
	case r.state == nil:
		return "", ""
	case r.state.Status == "":
		return refusedStatus, ""
	case r.state.Next == StepWait && marksTrouble(ctx, changeMarkReview):
		return reviewStatus, r.state.PaymentHash
	}

	return string(r.state.Status), r.state.PaymentHash
}

// again implements driver.
func (r *withdrawalRun) again(ctx workflow.Context) error {
	return workflow.NewContinueAsNewError(ctx, NameWithdrawal, WithdrawalInput{WithdrawalID: r.id, Look: true})
}

// hold is the update that a POST waits for. The answer is in the claim; the
// update only says that there is one.
func (r *withdrawalRun) hold(ctx workflow.Context, in HoldWithdrawal) error {
	r.touched = true
	r.say(ctx, "locking the funds")

	before := r.state

	return serveUpdate(ctx, "locking the funds", ActivityHoldWithdrawal, in, in.StartBy, func(state *WithdrawalState) {
		r.keep(before, state)
		before = r.state
	})
}

// step takes one step from the present state; done means that a look found
// nothing to do.
func (r *withdrawalRun) step(ctx workflow.Context) (done bool, err error) {
	if r.nudged {
		r.nudged = false
		// A nudge usually means that the node has news: following reads the
		// row as well.
		if r.state == nil || r.state.Next != StepFollow {
			r.state = nil
		} else {
			r.state.NextIn = 0
		}
	}
	if r.state == nil {
		return false, r.act(ctx, ActivityLookAtWithdrawal, looking)
	}
	if r.state.NextIn > 0 {
		return false, r.sleep(ctx)
	}
	switch r.state.Next {
	case StepSend:
		return false, r.send(ctx)
	case StepFollow:
		return false, r.act(ctx, ActivityFollowWithdrawal, "reading the payment from the node")
	case StepBook:
		return false, r.act(ctx, ActivitySettleByBook, "canceling the invoice and booking")
	case StepResolve:
		return false, r.act(ctx, ActivityResolveWithdrawal, "carrying out an operator's command")
	case StepWait:
		r.say(ctx, r.state.Note)

		return false, workflow.Await(ctx, func() bool { return r.nudged || !workflow.AllHandlersFinished(ctx) })
	case StepNone:
	}

	return r.end(ctx)
}

// end tells what came of a withdrawal that is over: to the charge that it paid
// by the book, and to the endpoints.
func (r *withdrawalRun) end(ctx workflow.Context) (done bool, err error) {
	if r.state.ChargeID != "" {
		// Without a run of the charge the sweeper finds what is left of it.
		_ = workflow.SignalExternalWorkflow(ctx, chargeIDPrefix+r.state.ChargeID, "", SignalNudge, nil).Get(ctx, nil)
		if r.state == nil {
			// An update that came meanwhile failed: the row is looked at.
			return false, nil
		}
		r.state.ChargeID = ""
	}
	if len(r.state.Deliveries) > 0 {
		deliveries := r.state.Deliveries
		r.state.Deliveries = nil
		r.say(ctx, string(r.state.Status)+", delivering the event")

		return false, deliverFirst(ctx, deliveries)
	}
	// Over and told, or nothing was locked.
	r.say(ctx, "nothing: "+r.statusWord())

	return true, nil
}

// send makes one attempt to send: a regular activity, because it may take long,
// and tried once, because whatever goes wrong is "unknown".
func (r *withdrawalRun) send(ctx workflow.Context) error {
	r.say(ctx, "sending")
	in := SendWithdrawal{WithdrawalID: r.id, Sends: r.state.Sends}
	sendCtx := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: sendTimeout, ScheduleToCloseTimeout: 2 * sendTimeout, HeartbeatTimeout: sendHeartbeat,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:     fmt.Sprintf("send %d", in.Sends+1),
	})
	before := r.state
	var state WithdrawalState
	err := workflow.ExecuteActivity(sendCtx, ActivitySendWithdrawal, in).Get(ctx, &state)

	return r.learn(ctx, before, &state, err, "sending")
}

// act runs one local activity and keeps the state that it returns.
func (r *withdrawalRun) act(ctx workflow.Context, activity, doing string) error {
	r.say(ctx, doing)
	before := r.state
	var state WithdrawalState
	err := workflow.ExecuteLocalActivity(withLocal(ctx, doing), activity, r.id).Get(ctx, &state)

	return r.learn(ctx, before, &state, err, doing)
}

// learn keeps what an activity said. A passing failure is waited out, and the
// row looked at again; a missing row ends the run.
func (r *withdrawalRun) learn(ctx workflow.Context, before, state *WithdrawalState, err error, doing string) error {
	switch {
	case err == nil:
		r.keep(before, state)
		// A row that can be looked at does not mean that the node is back.
		if doing != looking {
			r.pause = minPause
		}

		return nil
	case isErrType(err, ErrTypeRowMissing), temporal.IsCanceledError(err):
		return err
	}
	r.state = nil

	return r.waitOut(ctx, doing)
}

// keep keeps what an activity said of the row. If another said something
// meanwhile, nobody knows which of them looked later: the row is looked at.
func (r *withdrawalRun) keep(before, state *WithdrawalState) {
	if r.state != before {
		state = nil
	}
	r.state = state
}

// sleep waits until the next step is due, or a nudge.
func (r *withdrawalRun) sleep(ctx workflow.Context) error {
	wait := r.state.NextIn
	r.state.NextIn = 0
	r.say(ctx, r.state.Note+"; next look at "+workflow.Now(ctx).Add(wait).UTC().Format(time.RFC3339))
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timerCtx, wait, workflow.TimerOptions{Summary: r.state.Note})

	return workflow.Await(ctx, func() bool {
		return r.nudged || timer.IsReady() || !workflow.AllHandlersFinished(ctx)
	})
}

// WithdrawalDescription answers the state query.
type WithdrawalDescription struct {
	WithdrawalID string
	Status       string
	Sends        int
	WaitsFor     string
}

func (r *withdrawalRun) describe() (WithdrawalDescription, error) {
	description := WithdrawalDescription{WithdrawalID: r.id, Status: r.statusWord(), WaitsFor: r.waits}
	if r.state != nil {
		description.Sends = r.state.Sends
	}

	return description, nil
}

func (r *withdrawalRun) statusWord() string {
	if r.state == nil {
		return statusWord(false, "")
	}

	return statusWord(true, string(r.state.Status))
}

// Quote asks the node for an estimate: workflows are the only way from the API
// to a node.
func Quote(ctx workflow.Context, in QuoteInput) (QuoteResult, error) {
	var result QuoteResult
	err := workflow.ExecuteLocalActivity(withLocal(ctx, "asking the node's graph"), ActivityEstimateFee, in).Get(ctx, &result)

	return result, err
}
