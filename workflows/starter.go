package workflows

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/payments"
)

// The search attributes of a payment's workflow. Keywords and integers only: a
// Text attribute breaks Temporal's visibility on Postgres when its value holds
// a colon (temporalio/temporal#11085).
var (
	AttrWorkspaceID   = temporal.NewSearchAttributeKeyKeyword("WorkspaceId")
	AttrEnvironment   = temporal.NewSearchAttributeKeyKeyword("Environment")
	AttrPaymentHash   = temporal.NewSearchAttributeKeyKeyword("PaymentHash")
	AttrPaymentStatus = temporal.NewSearchAttributeKeyKeyword("PaymentStatus")
	AttrAmountMsat    = temporal.NewSearchAttributeKeyInt64("AmountMsat")
)

// Starter starts and nudges workflows, always under the same policies (rule
// R1): attach to a run that exists, start anew after one that ended.
// Deduplication is the rows', not Temporal's.
type Starter struct {
	Client      client.Client
	Environment payments.Environment
	// Answers is set where the worker runs in the same process and by the same
	// Client: then charges are opened by it at once, see openEagerly.
	Answers *Answers
}

// OpenCharge starts the charge's workflow, or finds it running, and waits
// until the claim of the same id is answered. Any error means that the outcome
// is unknown. ctx bounds the wait.
func (s *Starter) OpenCharge(ctx context.Context, ref ChargeRef, startBy time.Time) error {
	open := OpenCharge{ChargeID: ref.ID, StartBy: startBy}
	if s.Answers != nil && s.openEagerly(ctx, ref, open) {
		return nil
	}

	return s.updateCharge(ctx, ref, ChargeInput{ChargeID: ref.ID}, UpdateOpen, open)
}

// CancelCharge is OpenCharge for the claim of a cancel.
func (s *Starter) CancelCharge(ctx context.Context, ref ChargeRef, claimID string, startBy time.Time) error {
	return s.updateCharge(ctx, ref, ChargeInput{ChargeID: ref.ID}, UpdateCancel,
		CancelCharge{ChargeID: ref.ID, ClaimID: claimID, StartBy: startBy})
}

func (s *Starter) updateCharge(ctx context.Context, ref ChargeRef, in ChargeInput, update string, args any) error {
	return s.updateWithStart(ctx, s.chargeOptions(ref), NameCharge, in, update, args)
}

// NudgeCharge tells the charge's run to look at its row, starting a run if
// there is none. It carries no money and does no harm when repeated. It is an
// update and not a signal because Temporal keeps the task of an update in
// memory until it completes: one write of history instead of three. An update
// needs a live worker; whoever nudges does so again until the row has moved.
func (s *Starter) NudgeCharge(ctx context.Context, ref ChargeRef) error {
	return s.updateCharge(ctx, ref, ChargeInput{ChargeID: ref.ID, Look: true}, UpdateNudge, Nudge{ID: ref.ID})
}

// Deliver starts the workflow of a delivery, or nudges the running one to try
// now.
func (s *Starter) Deliver(ctx context.Context, deliveryID string) error {
	options := s.options(deliveryIDPrefix+deliveryID, "deliver "+deliveryID)
	options.TaskQueue = TaskQueueWebhooks
	_, err := s.Client.SignalWithStartWorkflow(ctx, options.ID, SignalRetry, nil, options,
		NameDelivery, DeliveryInput{DeliveryID: deliveryID})
	if err != nil {
		return fmt.Errorf("deliver %s: %w", deliveryID, err)
	}

	return nil
}

// EnsureSingletons starts the node's watcher, sweeper and reconciliation unless
// they run.
func (s *Starter) EnsureSingletons(ctx context.Context, node string) error {
	for id, name := range map[string]string{
		watcherIDPrefix + node: NameNodeWatcher, sweeperIDPrefix + node: NameSweeper,
	} {
		options := s.options(id, name+" of "+node)
		if _, err := s.Client.ExecuteWorkflow(ctx, options, name, NodeInput{Node: node}); err != nil {
			return fmt.Errorf("start %s: %w", id, err)
		}
	}
	// The first of a life of this workflow is full: who knows what was before.
	options := s.options(reconcileIDPrefix+node, NameReconcile+" of "+node)
	if _, err := s.Client.ExecuteWorkflow(ctx, options, NameReconcile, ReconcileInput{Node: node, Full: true}); err != nil {
		return fmt.Errorf("start %s: %w", options.ID, err)
	}

	return nil
}

// Reconcile asks for a reconciliation with a node now, and waits for its report
// until ctx ends; with wait false only until the question has arrived.
func (s *Starter) Reconcile(ctx context.Context, in ReconcileInput, wait bool) (report ReconcileReport, err error) {
	stage := client.WorkflowUpdateStageAccepted
	if wait {
		stage = client.WorkflowUpdateStageCompleted
	}
	handle, err := s.Client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: reconcileIDPrefix + in.Node, UpdateName: UpdateReconcile, Args: []any{in}, WaitForStage: stage,
	})
	if err != nil {
		return report, fmt.Errorf("ask for a reconciliation with %s: %w", in.Node, err)
	}
	if !wait {
		return report, nil
	}
	if err := handle.Get(ctx, &report); err != nil {
		return report, fmt.Errorf("wait for the reconciliation with %s: %w", in.Node, err)
	}

	return report, nil
}

func (s *Starter) chargeOptions(ref ChargeRef) client.StartWorkflowOptions {
	options := s.options(chargeIDPrefix+ref.ID, fmt.Sprintf("charge %d msat for %s", ref.AmountMsat, ref.WorkspaceID))
	options.TypedSearchAttributes = temporal.NewSearchAttributes(
		AttrWorkspaceID.ValueSet(ref.WorkspaceID),
		AttrEnvironment.ValueSet(string(s.Environment)),
		AttrAmountMsat.ValueSet(int64(ref.AmountMsat)),
	)

	return options
}

func (s *Starter) options(id, summary string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: TaskQueuePayments,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowTaskTimeout:      workflowTaskTimeout,
		StaticSummary:            summary,
	}
}
