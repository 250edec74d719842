package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// attemptTimeout leaves an attempt, 15 s at most, time to be read and
	// recorded.
	attemptTimeout = 25 * time.Second
	// attemptQueueTimeout also bounds the wait for a worker: a payment's run
	// does not hang on webhooks.
	attemptQueueTimeout = time.Minute
	// An attempt that could not be judged (a timeout, Postgres away) is tried
	// again after a pause that doubles up to the maximum.
	minDeliveryPause = 10 * time.Second
	maxDeliveryPause = 5 * time.Minute
	// minNextIn keeps a delivery that claims to be due at once from spinning.
	minNextIn = time.Second
)

// Delivery follows one delivery's schedule from its row until it is done. It
// can be started again at any time (rule R1): the row says when the next
// attempt is due. The signal "retry" makes it look at once.
func Delivery(ctx workflow.Context, in DeliveryInput) error {
	run := &deliveryRun{DeliveryDescription: DeliveryDescription{DeliveryID: in.DeliveryID}, pause: minDeliveryPause}
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryState, run.describe, workflow.QueryHandlerOptions{
		Description: "How the last attempt went and what the delivery waits for.",
	})
	if err != nil {
		return fmt.Errorf("register query: %w", err)
	}
	run.retries = workflow.GetSignalChannelWithOptions(ctx, SignalRetry, workflow.SignalChannelOptions{
		Description: "Look at the row: an attempt may be due now. Carries nothing.",
	})

	return run.loop(ctx, in)
}

// DeliveryDescription answers the state query.
type DeliveryDescription struct {
	DeliveryID  string
	LastAttempt string
	WaitsFor    string
}

type deliveryRun struct {
	DeliveryDescription
	retries workflow.ReceiveChannel
	// pause is the wait after an attempt that could not be judged.
	pause time.Duration
}

func (r *deliveryRun) describe() (DeliveryDescription, error) { return r.DeliveryDescription, nil }

// loop attempts and waits. It ends only when a look that no retry has come
// after finds the delivery done.
func (r *deliveryRun) loop(ctx workflow.Context, in DeliveryInput) error {
	for {
		// The look that follows answers all retries that came before it.
		r.drain()
		wait, done, err := r.attempt(ctx, in)
		if err != nil {
			return err
		}
		if done && !r.drain() {
			return nil
		}
		if done {
			continue
		}
		if err := r.sleep(ctx, wait); err != nil {
			return err
		}
		// An endpoint that is always busy makes long histories.
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			r.drain()

			return workflow.NewContinueAsNewError(ctx, NameDelivery, in)
		}
	}
}

// attempt has the row looked at, and an attempt made if one is due.
func (r *deliveryRun) attempt(ctx workflow.Context, in DeliveryInput) (wait time.Duration, done bool, err error) {
	r.say(ctx, "an attempt")
	var result AttemptResult
	err = attemptDelivery(ctx, in.DeliveryID).Get(ctx, &result)
	switch {
	case err == nil:
		r.LastAttempt, r.pause = result.Note, minDeliveryPause

		return max(result.NextIn, minNextIn), result.Done, nil
	case temporal.IsCanceledError(err), isErrType(err, ErrTypeRowMissing):
		return 0, false, err
	}
	// A failed attempt that left no record. The row may have been written all
	// the same; the next look tells.
	r.LastAttempt = attemptProblem(err)
	wait = r.pause
	r.pause = min(2*r.pause, maxDeliveryPause)

	return wait, false, nil
}

// attemptProblem names an error without repeating a text that others wrote.
func attemptProblem(err error) string {
	var timeout *temporal.TimeoutError
	if !errors.As(err, &timeout) {
		return "the attempt could not be made or recorded"
	}
	if timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_START_TO_CLOSE {
		return "the attempt did not end in time"
	}

	return "no worker took the attempt in time"
}

// sleep waits for the next attempt or a retry.
func (r *deliveryRun) sleep(ctx workflow.Context, wait time.Duration) error {
	r.say(ctx, "the next attempt at "+workflow.Now(ctx).Add(wait).UTC().Format(time.RFC3339)+", or the signal "+SignalRetry)
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timerCtx, wait, workflow.TimerOptions{Summary: "until the next attempt"})
	var err error
	workflow.NewSelector(ctx).
		AddFuture(timer, func(f workflow.Future) { err = f.Get(ctx, nil) }).
		AddReceive(r.retries, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) }).
		Select(ctx)

	return err
}

// drain takes the retries that have come and reports whether there were any.
func (r *deliveryRun) drain() (found bool) {
	for r.retries.ReceiveAsync(nil) {
		found = true
	}

	return found
}

// say tells the query and the UI what the run is at. It costs no event.
func (r *deliveryRun) say(ctx workflow.Context, waits string) {
	r.WaitsFor = waits
	details := "waits for " + waits
	if r.LastAttempt != "" {
		details += "; last attempt: " + r.LastAttempt
	}
	workflow.SetCurrentDetails(ctx, details)
}

// attemptDelivery runs one attempt on the webhooks queue. It is never retried
// by Temporal: the schedule is the row's.
func attemptDelivery(ctx workflow.Context, deliveryID string) workflow.Future {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueueWebhooks,
		StartToCloseTimeout:    attemptTimeout,
		ScheduleToCloseTimeout: attemptQueueTimeout,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                "attempt " + deliveryID,
	})

	return workflow.ExecuteActivity(ctx, ActivityAttemptDelivery, DeliveryInput{DeliveryID: deliveryID})
}

// deliverFirst makes the first attempt at each delivery, in parallel, for the
// workflow of a payment. A healthy endpoint costs no workflow of its own; a
// delivery that is not done then gets one, which outlives the caller.
func deliverFirst(ctx workflow.Context, deliveryIDs []string) error {
	attempts := make([]workflow.Future, len(deliveryIDs))
	for i, id := range deliveryIDs {
		attempts[i] = attemptDelivery(ctx, id)
	}
	var failed []error
	children := map[string]workflow.ChildWorkflowFuture{}
	for i, id := range deliveryIDs {
		var result AttemptResult
		err := attempts[i].Get(ctx, &result)
		switch {
		case temporal.IsCanceledError(err), isErrType(err, ErrTypeRowMissing):
			failed = append(failed, err)
		case err != nil || !result.Done:
			children[id] = startDelivery(ctx, id)
		}
	}
	for _, id := range deliveryIDs {
		child, ok := children[id]
		if !ok {
			continue
		}
		// An abandoned child is lost if its parent ends before it has started.
		err := child.GetChildWorkflowExecution().Get(ctx, nil)
		if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			failed = append(failed, fmt.Errorf("start the workflow of %s: %w", id, err))
		}
	}

	if len(failed) == 1 {
		// A joined error loses the type of its parts on its way to the caller.
		return failed[0]
	}

	return errors.Join(failed...)
}

func startDelivery(ctx workflow.Context, deliveryID string) workflow.ChildWorkflowFuture {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            deliveryIDPrefix + deliveryID,
		TaskQueue:             TaskQueueWebhooks,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowTaskTimeout:   workflowTaskTimeout,
		StaticSummary:         "deliver " + deliveryID,
	})

	return workflow.ExecuteChildWorkflow(ctx, NameDelivery, DeliveryInput{DeliveryID: deliveryID})
}
