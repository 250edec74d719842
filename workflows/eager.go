package workflows

import (
	"context"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

// eagerPatience is how long a POST waits for a run that it has started in this
// process before it asks by an update. Past it the run is with another worker,
// or this one is overloaded.
const eagerPatience = 500 * time.Millisecond

// openEagerly starts the charge's run so that the start brings its first task
// back (Temporal calls it eager start): the worker in this process opens the
// charge at once and tells by Answers. It saves the hops of an update to the
// worker and one state transition. answered is false where nobody told: the run
// exists already, or another worker has it, or the call failed. Then only an
// update finds out.
func (s *Starter) openEagerly(ctx context.Context, ref ChargeRef, open OpenCharge) (answered bool) {
	told, stop := s.Answers.await(ref.ID)
	defer stop()
	options := s.chargeOptions(ref)
	options.EnableEagerStart = true
	// A start that finds a run would be silently ignored, and its message with it.
	options.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL
	options.WorkflowExecutionErrorWhenAlreadyStarted = true
	if _, err := s.Client.ExecuteWorkflow(ctx, options, NameCharge, ChargeInput{ChargeID: ref.ID, Open: &open}); err != nil {
		return false
	}
	patience := time.NewTimer(eagerPatience)
	defer patience.Stop()
	select {
	case <-told:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}

	return false
}
