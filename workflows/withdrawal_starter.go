package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/payments"
)

// HoldWithdrawal starts the withdrawal's workflow, or finds it running, and
// waits until the claim of the same id is answered. Any error means that the
// outcome is unknown. ctx bounds the wait.
func (s *Starter) HoldWithdrawal(ctx context.Context, ref WithdrawalRef, startBy time.Time) error {
	return s.updateWithdrawal(ctx, ref, WithdrawalInput{WithdrawalID: ref.ID}, UpdateHold,
		HoldWithdrawal{WithdrawalID: ref.ID, StartBy: startBy})
}

// NudgeWithdrawal tells the withdrawal's run to look at its row, starting a run
// if there is none. See NudgeCharge.
func (s *Starter) NudgeWithdrawal(ctx context.Context, ref WithdrawalRef) error {
	return s.updateWithdrawal(ctx, ref, WithdrawalInput{WithdrawalID: ref.ID, Look: true}, UpdateNudge,
		Nudge{ID: ref.ID})
}

// WithdrawalWorkflowID is the id by which the Temporal UI finds the run of a
// withdrawal.
func WithdrawalWorkflowID(id string) string { return withdrawalIDPrefix + id }

func (s *Starter) updateWithdrawal(ctx context.Context, ref WithdrawalRef, in WithdrawalInput, update string, args any) error {
	options := s.options(WithdrawalWorkflowID(ref.ID), fmt.Sprintf("pay %d msat for %s", ref.AmountMsat, ref.WorkspaceID))
	attributes := []temporal.SearchAttributeUpdate{
		AttrWorkspaceID.ValueSet(ref.WorkspaceID),
		AttrEnvironment.ValueSet(string(s.Environment)),
		AttrAmountMsat.ValueSet(int64(ref.AmountMsat)),
	}
	if ref.PaymentHash != "" {
		// Known before the row is: to set them later would cost an event and a
		// write of Temporal's visibility.
		attributes = append(attributes, AttrPaymentHash.ValueSet(ref.PaymentHash),
			AttrPaymentStatus.ValueSet(string(payments.WithdrawalHeld)))
	}
	options.TypedSearchAttributes = temporal.NewSearchAttributes(attributes...)

	return s.updateWithStart(ctx, options, NameWithdrawal, in, update, args)
}

// EstimateFee asks a worker, and through it the node, what a payment would cost
// now: a short workflow, because only workers talk to nodes.
func (s *Starter) EstimateFee(ctx context.Context, in QuoteInput) (QuoteResult, error) {
	options := s.options(quoteIDPrefix+uuid.NewString(), "estimate a fee")
	options.WorkflowExecutionTimeout = quoteTimeout
	run, err := s.Client.ExecuteWorkflow(ctx, options, NameQuote, in)
	if err != nil {
		return QuoteResult{}, fmt.Errorf("start a quote: %w", err)
	}
	var result QuoteResult
	if err := run.Get(ctx, &result); err != nil {
		return QuoteResult{}, fmt.Errorf("quote: %w", err)
	}

	return result, nil
}

// updateWithStart sends an update to the run of options.ID, which it starts if
// there is none, and waits for its end.
func (s *Starter) updateWithStart(ctx context.Context, options client.StartWorkflowOptions, name string, in any,
	update string, args any,
) error {
	start := s.Client.NewWithStartWorkflowOperation(options, name, in)
	handle, err := s.Client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			// Fresh for each attempt: a stored outcome of an earlier one
			// would be returned for ever (rule "Idempotent POST" 2).
			UpdateID:     uuid.NewString(),
			UpdateName:   update,
			Args:         []any{args},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", update, options.ID, ErrOutcomeUnknown, err)
	}
	if err := handle.Get(ctx, nil); err != nil {
		return fmt.Errorf("%s %s: %w: %w", update, options.ID, ErrOutcomeUnknown, err)
	}

	return nil
}
