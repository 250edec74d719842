package workflows

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
)

// DecideSandbox starts the workflow of a sandbox POST, or finds it running, and
// waits until the claim is answered. Any error means that the outcome is
// unknown. ctx bounds the wait.
func (s *Starter) DecideSandbox(ctx context.Context, ref SandboxRef, startBy time.Time) error {
	options := s.options(SandboxWorkflowID(ref.ClaimID), fmt.Sprintf("sandbox: %s for %s", ref.Operation, ref.WorkspaceID))
	options.TypedSearchAttributes = temporal.NewSearchAttributes(
		AttrWorkspaceID.ValueSet(ref.WorkspaceID), AttrEnvironment.ValueSet(string(s.Environment)),
	)

	return s.updateWithStart(ctx, options, NameSandbox, SandboxInput{ClaimID: ref.ClaimID}, UpdateDecide,
		DecideSandbox{ClaimID: ref.ClaimID, StartBy: startBy})
}

// SandboxWorkflowID is the id by which the Temporal UI finds the run of a
// sandbox POST: by the id of a payment or an invoice, or of a command's claim.
func SandboxWorkflowID(claimID string) string { return sandboxIDPrefix + claimID }
