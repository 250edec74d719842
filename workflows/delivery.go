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
	// cancelTimeout bounds one try to fail a delivery that was cancelled.
	cancelTimeout = 10 * time.Second
	// minNextIn keeps a delivery that claims to be due at once from spinning.
	minNextIn = time.Second
)

// Delivery follows one delivery's schedule from its row until it is done. It
// can be started again at any time (rule R1): the row says when the next
// attempt is due. The signal "retry" has one made at once, unless the delivery is
// over. A cancellation fails the delivery: without that the sweeper would bring
// it back.
func Delivery(ctx workflow.Context, in DeliveryInput) error {
	run := &deliveryRun{DeliveryDescription: DeliveryDescription{DeliveryID: in.DeliveryID}, pause: minDeliveryPause}
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryState, run.describe, workflow.QueryHandlerOptions{
		Description: "How the last attempt went and what the delivery waits for.",
	})
	if err != nil {
		return fmt.Errorf("register query: %w", err)
	}
	run.retries = workflow.GetSignalChannelWithOptions(ctx, SignalRetry, workflow.SignalChannelOptions{
		Description: "Make an attempt now, unless the delivery is over. Carries nothing.",
	})
	run.now = in.Now
	if err = run.loop(ctx, in.DeliveryID); temporal.IsCanceledError(err) {
		return run.cancel(ctx, in.DeliveryID, err)
	}

	return err
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
	// now says that a retry came: the next attempt does not wait until it is due.
	now bool
	// marked says that the search attributes call the delivery failing.
	marked bool
}

func (r *deliveryRun) describe() (DeliveryDescription, error) { return r.DeliveryDescription, nil }

// loop attempts and waits. It ends only when a look that no retry has come
// after finds the delivery done.
func (r *deliveryRun) loop(ctx workflow.Context, id string) error {
	for {
		// The attempt that follows answers all retries that came before it.
		r.drain()
		wait, done, err := r.attempt(ctx, id)
		if err != nil {
			return err
		}
		r.drain()
		if done && !r.now {
			return nil
		}
		if !r.now {
			if err := r.sleep(ctx, wait); err != nil {
				return err
			}
		}
		// An endpoint that is always busy makes long histories.
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			r.drain()

			return workflow.NewContinueAsNewError(ctx, NameDelivery, DeliveryInput{DeliveryID: id, Now: r.now})
		}
	}
}

// cancel fails the delivery, which the cancelled context cannot do.
func (r *deliveryRun) cancel(ctx workflow.Context, id string, canceled error) error {
	r.say(ctx, "its cancellation")
	detached, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	detached = workflow.WithActivityOptions(detached, workflow.ActivityOptions{
		TaskQueue: TaskQueueWebhooks, StartToCloseTimeout: cancelTimeout, Summary: "cancel " + id,
	})
	if err := workflow.ExecuteActivity(detached, ActivityCancelDelivery, DeliveryInput{DeliveryID: id}).Get(detached, nil); err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}

	return canceled
}

// attempt has the row looked at, and an attempt made if one is due or asked for.
func (r *deliveryRun) attempt(ctx workflow.Context, id string) (wait time.Duration, done bool, err error) {
	r.say(ctx, "an attempt")
	var result AttemptResult
	now := r.now
	r.now = false
	err = attemptDelivery(ctx, DeliveryInput{DeliveryID: id, Now: now}).Get(ctx, &result)
	switch {
	case err == nil:
		r.LastAttempt, r.pause = result.Note, minDeliveryPause

		return max(result.NextIn, minNextIn), result.Done, r.mark(ctx, result)
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

// mark lets operators find a delivery that has failed again since it has a
// workflow of its own, and whose it is. Once: an upsert costs an event and a
// write of Temporal's visibility.
func (r *deliveryRun) mark(ctx workflow.Context, result AttemptResult) error {
	if !result.Failed || result.Done || r.marked || !marksTrouble(ctx, changeMarkFailing) {
		return nil
	}
	r.marked = true

	return workflow.UpsertTypedSearchAttributes(ctx,
		AttrWorkspaceID.ValueSet(result.WorkspaceID), AttrPaymentStatus.ValueSet(failingStatus))
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
		AddReceive(r.retries, func(c workflow.ReceiveChannel, _ bool) { r.now = c.Receive(ctx, nil) }).
		Select(ctx)

	return err
}

// drain takes the retries that have come.
func (r *deliveryRun) drain() {
	for r.retries.ReceiveAsync(nil) {
		r.now = true
	}
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
func attemptDelivery(ctx workflow.Context, in DeliveryInput) workflow.Future {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueueWebhooks,
		StartToCloseTimeout:    attemptTimeout,
		ScheduleToCloseTimeout: attemptQueueTimeout,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                "attempt " + in.DeliveryID,
	})

	return workflow.ExecuteActivity(ctx, ActivityAttemptDelivery, in)
}

// deliverFirst makes the first attempt at each delivery, in parallel, for the
// workflow of a payment. A healthy endpoint costs no workflow of its own; a
// delivery that is not done then gets one, which outlives the caller.
func deliverFirst(ctx workflow.Context, deliveryIDs []string) error {
	attempts := make([]workflow.Future, len(deliveryIDs))
	for i, id := range deliveryIDs {
		attempts[i] = attemptDelivery(ctx, DeliveryInput{DeliveryID: id})
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
