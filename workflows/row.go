package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// rowRun is what the runs of charges and withdrawals have in common: each
// drives one row, is nudged to look at it, and says what it waits for.
type rowRun struct {
	id string
	// touched is set when an update or a nudge has come.
	touched bool
	nudged  bool
	pause   time.Duration
	waits   string
	// marked is the status that the search attributes show.
	marked string
}

// driver is the part of a run that differs.
type driver interface {
	// marks are the status and the payment hash for the search attributes; no
	// status means that nothing is known yet.
	marks(ctx workflow.Context) (status, paymentHash string)
	// step takes one step; done means that a look found nothing to do.
	step(ctx workflow.Context) (done bool, err error)
	// again is the error that continues the run as a new one.
	again(ctx workflow.Context) error
}

// mine refuses a message for another row.
func (r *rowRun) mine(id string) error {
	if id != r.id {
		return fmt.Errorf("this run is of %s", r.id)
	}

	return nil
}

// acceptNudges installs the handlers of nudges, by update and by signal.
func (r *rowRun) acceptNudges(ctx workflow.Context) error {
	const description = "Look at the row: something may have happened. Carries nothing."
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateNudge, func(workflow.Context, Nudge) error {
		r.touched, r.nudged = true, true

		return nil
	}, workflow.UpdateHandlerOptions{
		Description: description,
		Validator:   func(_ workflow.Context, in Nudge) error { return r.mine(in.ID) },
	}); err != nil {
		return fmt.Errorf("register update: %w", err)
	}
	nudges := workflow.GetSignalChannelWithOptions(ctx, SignalNudge, workflow.SignalChannelOptions{Description: description})
	workflow.Go(ctx, func(ctx workflow.Context) {
		for nudges.Receive(ctx, nil) {
			r.touched, r.nudged = true, true
		}
	})

	return nil
}

// awaitFirst waits for what the run was started for: an update that comes with
// the start, or a nudge. After a while the run looks at its row by itself.
func (r *rowRun) awaitFirst(ctx workflow.Context) error {
	// Canceled in the task that created it, the timer leaves no event.
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	grace := workflow.NewTimer(timerCtx, updateGrace)

	return workflow.Await(ctx, func() bool { return r.touched || grace.IsReady() })
}

// loop does what the row says until nothing is left to do.
func (r *rowRun) loop(ctx workflow.Context, d driver) error {
	for {
		// Handlers act on the row; judging beside them would only race.
		if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
			return err
		}
		if err := r.mark(ctx, d); err != nil {
			return err
		}
		done, err := d.step(ctx)
		if err != nil {
			return err
		}
		if done && !r.nudged && workflow.AllHandlersFinished(ctx) {
			return nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx) {
			return d.again(ctx)
		}
	}
}

// mark keeps the search attributes true. It rides in a task that is written
// anyway: an event, but no state transition.
func (r *rowRun) mark(ctx workflow.Context, d driver) error {
	status, hash := d.marks(ctx)
	if status == r.marked || status == "" {
		return nil
	}
	r.marked = status
	attributes := []temporal.SearchAttributeUpdate{AttrPaymentStatus.ValueSet(status)}
	if hash != "" {
		attributes = append(attributes, AttrPaymentHash.ValueSet(hash))
	}

	return workflow.UpsertTypedSearchAttributes(ctx, attributes...)
}

// waitOut waits after a failure that may pass; the pause doubles.
func (r *rowRun) waitOut(ctx workflow.Context, doing string) error {
	r.say(ctx, doing+": the node or the database is away, trying again")
	_, err := workflow.AwaitWithTimeout(ctx, r.pause, func() bool { return r.nudged })
	r.pause = min(2*r.pause, maxPause)

	return err
}

// say tells the query and the UI what the run is at. It costs no event.
func (r *rowRun) say(ctx workflow.Context, waits string) {
	r.waits = waits
	workflow.SetCurrentDetails(ctx, waits)
}

// statusWord names a status for operators; known says that the row was read.
func statusWord(known bool, status string) string {
	switch {
	case !known:
		return "unknown"
	case status == "":
		return "not opened"
	}

	return status
}
