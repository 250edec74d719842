package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The bounds of a sandbox payment: some attempts within a few minutes, then the
// run ends, paid or not.
const (
	payAttemptTimeout = 40 * time.Second
	payAttempts       = 5
	payWithin         = 3 * time.Minute
	// decideAttempts is how often a run without its update looks for what it
	// is to do.
	decideAttempts = 10
)

// Sandbox has the payer node do what a sandbox POST asks for. The POST waits
// for the update that decides it; what a payment then comes to only the charge
// shows, by the normal way, and the run's result tells operators. There is no
// row to come back for: a run ends by itself, whatever the node says.
func Sandbox(ctx workflow.Context, in SandboxInput) (SandboxResult, error) {
	run := &sandboxRun{claimID: in.ClaimID}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateDecide, run.decide, workflow.UpdateHandlerOptions{
		Description: "Decide a sandbox POST, and do on the payer node what it asks for.",
		Validator: func(_ workflow.Context, in DecideSandbox) error {
			if in.ClaimID != run.claimID {
				return fmt.Errorf("this run is of %s", run.claimID)
			}

			return nil
		},
	}); err != nil {
		return SandboxResult{}, fmt.Errorf("register update: %w", err)
	}
	if err := run.awaitDecision(ctx); err != nil {
		return SandboxResult{}, err
	}
	outcome, err := run.carryOut(ctx)
	if err != nil {
		return SandboxResult{}, err
	}
	workflow.SetCurrentDetails(ctx, outcome)
	// A repeat of the POST may have come meanwhile.
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return SandboxResult{}, err
	}

	return SandboxResult{Outcome: outcome}, nil
}

// sandboxRun is what a run remembers.
type sandboxRun struct {
	claimID string
	touched bool
	// state is nil until the POST is known to be decided.
	state *SandboxState
}

// decide is the update that a POST waits for. The answer is in the claim.
func (r *sandboxRun) decide(ctx workflow.Context, in DecideSandbox) error {
	r.touched = true
	workflow.SetCurrentDetails(ctx, "asking the payer node")

	return serveUpdate(ctx, "asking the payer node", ActivityDecideSandbox, in, in.StartBy, func(state *SandboxState) {
		if state != nil {
			r.state = state
		}
	})
}

// awaitDecision waits for the update that came with the start. Where it was
// lost with its worker, or learned nothing, the claim is looked at: past its
// time an answer is only read, never made.
func (r *sandboxRun) awaitDecision(ctx workflow.Context) error {
	if _, err := workflow.AwaitWithTimeout(ctx, updateGrace, func() bool { return r.touched }); err != nil {
		return err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	pause := minPause
	for range decideAttempts {
		if r.state != nil {
			return nil
		}
		var state SandboxState
		err := workflow.ExecuteLocalActivity(withLocal(ctx, "looking at its claim"), ActivityDecideSandbox,
			DecideSandbox{ClaimID: r.claimID}).Get(ctx, &state)
		switch {
		case err == nil:
			r.state = &state

			return nil
		case isErrType(err, ErrTypeOutcomeUnknown), isErrType(err, ErrTypeRowMissing):
			return nil
		case temporal.IsCanceledError(err):
			return err
		}
		if err := workflow.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}

	return nil
}

// carryOut does what was accepted and says in words what came of it.
func (r *sandboxRun) carryOut(ctx workflow.Context) (outcome string, err error) {
	switch {
	case r.state == nil:
		return "nothing was decided", nil
	case !r.state.Pay:
		return fmt.Sprintf("answered with %d", r.state.Status), nil
	}
	workflow.SetCurrentDetails(ctx, "paying")
	payCtx := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: payAttemptTimeout, ScheduleToCloseTimeout: payWithin, Summary: "pay the charge",
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second,
			MaximumAttempts: payAttempts, NonRetryableErrorTypes: []string{ErrTypeNotPaid},
		},
	})
	var result SandboxResult
	err = workflow.ExecuteActivity(payCtx, ActivityPaySandboxCharge, r.claimID).Get(ctx, &result)
	switch {
	case err == nil:
		return result.Outcome, nil
	case temporal.IsCanceledError(err):
		return "", err
	}
	// Only what the node has said of the last attempt is known: lnd makes none
	// while an earlier one may succeed (rule R4).
	failed, ok := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case !ok:
		return "not known to be paid: no answer in time", nil
	case failed.Type() == ErrTypeNotPaid || failed.Type() == ErrTypePaymentFailed:
		return "not paid: " + failed.Message(), nil
	}

	return "not known to be paid: " + failed.Message(), nil
}
