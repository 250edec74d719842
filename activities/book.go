package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
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
	settled, err := a.settledOutside(ctx, look, charge)
	switch {
	case errors.Is(err, errRegressed):
		return a.later(ctx, look, frozenPause, "the node went back in time, nothing is booked")
	case err != nil:
		return workflows.WithdrawalState{}, err
	case settled:
		return a.outpaid(ctx, look)
	case look.Frozen:
		return a.later(ctx, look, frozenPause, bookingFrozen)
	case status != payments.ChargePending:
		return a.review(ctx, row, "the charge "+charge.ID+" is "+charge.Status+", and the node canceled its invoice")
	}

	return a.book(ctx, look, charge)
}

const bookingFrozen = "payouts are frozen, nothing is booked"

// settledOutside reports whether an outside payer was first. If not, none will
// be: the node has canceled the invoice; but in a freeze it is only asked, for
// to cancel is the first half of a payment. Where the receipt is credited the
// node is not asked: it may have lost the invoice since.
func (a *Withdrawals) settledOutside(ctx context.Context, look db.LookAtWithdrawalRow, charge db.Charge) (bool, error) {
	credited, err := a.Store.HasCreditedReceipt(ctx, db.HasCreditedReceiptParams{Node: charge.Node, PaymentHash: charge.PaymentHash})
	if err != nil {
		return false, fmt.Errorf("look for the receipt of %s: %w", charge.ID, err)
	}
	if credited {
		return true, nil
	}
	if look.Frozen {
		return a.Charges.isSettled(ctx, charge)
	}

	return a.Charges.cancelInvoice(ctx, charge)
}

// outpaid gives the payer's funds back, in a freeze too: they would pay what is
// paid.
func (a *Withdrawals) outpaid(ctx context.Context, look db.LookAtWithdrawalRow) (workflows.WithdrawalState, error) {
	if err := a.notBackInTime(ctx, look.Withdrawal.Node); err != nil {
		return a.later(ctx, look, frozenPause, nothingVoided)
	}

	return a.void(ctx, store.VoidWithdrawal{ID: look.Withdrawal.ID, Failure: payments.FailurePaidElsewhere})
}

// book moves the money of a charge whose invoice the node has canceled.
func (a *Withdrawals) book(ctx context.Context, look db.LookAtWithdrawalRow, charge db.Charge) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	preimage, err := a.Charges.Keys.Derive(charge.KeyID, a.Store.Environment, charge.Node, charge.ID)
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("derive for %s: %w", charge.ID, err)
	}
	if hash := preimage.Hash(); string(hash[:]) != string(row.PaymentHash) {
		return a.review(ctx, row, "the charge's preimage does not give the payment hash")
	}
	_, err = a.Store.PayByBook(ctx, row.ID, charge.ID, preimage)
	switch {
	case errors.Is(err, store.ErrPayoutsFrozen):
		return a.later(ctx, look, frozenPause, bookingFrozen)
	case errors.Is(err, store.ErrChargeMoved):
		return a.review(ctx, row, "the charge "+charge.ID+" left its claim while it was being paid")
	case err != nil:
		return workflows.WithdrawalState{}, err
	}

	return a.LookAtWithdrawal(ctx, row.ID)
}
