package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"
)

// SettleByBook pays a charge of our own from another balance: the node cancels
// the invoice first, which is the lock against an outside payer, then one
// transaction books both sides. Where the outside payer was first, the
// withdrawal fails and the charge is credited from its receipt.
func (a *Withdrawals) SettleByBook(ctx context.Context, id string) (workflows.WithdrawalState, error) {
	look, err := a.look(ctx, id)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	row := look.Withdrawal
	state, err := a.state(ctx, look)
	if err != nil || state.Next != workflows.StepBook {
		return state, err
	}
	if look.Frozen {
		return a.later(ctx, look, frozenPause, "payouts are frozen, nothing is booked")
	}
	charge, err := a.Store.GetCharge(ctx, *row.ChargeID)
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("read %s: %w", *row.ChargeID, err)
	}
	// Paid under our claim: by its receipt, which may be credited before we ask
	// the node.
	status := payments.ChargeStatus(charge.Status)
	if charge.SettlingBy == nil || *charge.SettlingBy != id ||
		status != payments.ChargePending && status != payments.ChargePaid {
		return a.review(ctx, row, "the charge "+charge.ID+" is "+charge.Status+" and not claimed by this book transfer")
	}
	settled, err := a.Charges.cancelInvoice(ctx, charge)
	if errors.Is(err, errRegressed) {
		return a.later(ctx, look, frozenPause, "the node went back in time, nothing is booked")
	}
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if settled {
		return a.void(ctx, store.VoidWithdrawal{ID: id, Failure: payments.FailurePaidElsewhere})
	}
	if status != payments.ChargePending {
		return a.review(ctx, row, "the charge "+charge.ID+" is "+charge.Status+", and the node canceled its invoice")
	}
	preimage, err := a.Charges.Keys.Derive(charge.KeyID, a.Store.Environment, charge.Node, charge.ID)
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("derive for %s: %w", charge.ID, err)
	}
	if hash := preimage.Hash(); string(hash[:]) != string(row.PaymentHash) {
		return a.review(ctx, row, "the charge's preimage does not give the payment hash")
	}
	_, err = a.Store.PayByBook(ctx, id, charge.ID, preimage)
	if errors.Is(err, store.ErrChargeMoved) {
		return a.review(ctx, row, "the charge "+charge.ID+" left its claim while it was being paid")
	}
	if err != nil {
		return workflows.WithdrawalState{}, err
	}

	return a.LookAtWithdrawal(ctx, id)
}
