package activities

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

// Charges are the activities of the charge workflow.
type Charges struct {
	Store  *store.Store
	Node   lightning.Node
	Keys   *lightning.KeyRing
	Settle *Settler
	Alerts *Alerts
	// Answers hears of each claim that OpenCharge answered, for a POST that waits
	// in the same process; nil where none can.
	Answers *workflows.Answers

	closings closings
}

// errOutcomeUnknown tells the workflow that the client's time is over and
// nothing is decided.
func errOutcomeUnknown() error {
	return temporal.NewNonRetryableApplicationError("start_by has passed", workflows.ErrTypeOutcomeUnknown, nil)
}

// rowMissing ends the run that asked: only opening creates a row.
func (a *Charges) rowMissing(ctx context.Context, id string) error {
	a.Alerts.Raise(ctx, AlertRowMissing, "a run looks for a charge that has no row", "charge", id)

	return temporal.NewNonRetryableApplicationError("no row of "+id, workflows.ErrTypeRowMissing, nil)
}

// LookAtCharge reads the row. No row but a claim means that nothing was
// opened, which is an end and not an alarm.
func (a *Charges) LookAtCharge(ctx context.Context, id string) (workflows.ChargeState, error) {
	row, err := a.Store.LookAtCharge(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		claimed, err := a.Store.ClaimExists(ctx, id)
		if err != nil {
			return workflows.ChargeState{}, fmt.Errorf("look for the claim of %s: %w", id, err)
		}
		if claimed {
			return workflows.ChargeState{}, nil
		}

		return workflows.ChargeState{}, a.rowMissing(ctx, id)
	}
	if err != nil {
		return workflows.ChargeState{}, fmt.Errorf("look at %s: %w", id, err)
	}
	telemetry.Set(ctx, slog.String("workspace_id", row.Charge.WorkspaceID))
	state := workflows.ChargeState{
		PaymentHash: hex.EncodeToString(row.Charge.PaymentHash),
		Status:      payments.ChargeStatus(row.Charge.Status), DueIn: time.Duration(row.DueInMs) * time.Millisecond,
		HasReceipt: row.HasReceipt, Claimed: row.Charge.SettlingBy != nil,
	}
	if !state.Status.Closed() {
		return state, nil
	}
	if state.Deliveries, err = a.Store.UntriedDeliveries(ctx, id); err != nil {
		return workflows.ChargeState{}, fmt.Errorf("read deliveries of %s: %w", id, err)
	}

	return state, nil
}

// SettleCharge credits the charge if the node's receipt is there; without one
// it changes nothing. Mostly the watcher has credited it already.
func (a *Charges) SettleCharge(ctx context.Context, id string) (workflows.ChargeState, error) {
	state, err := a.LookAtCharge(ctx, id)
	if err != nil || state.Status == payments.ChargePaid && !state.HasReceipt {
		return state, err
	}
	if err := a.completeInvoice(ctx, id); err != nil {
		return workflows.ChargeState{}, err
	}
	if err := a.Settle.Settle(ctx, id); err != nil {
		return workflows.ChargeState{}, err
	}

	return a.LookAtCharge(ctx, id)
}

// completeInvoice fetches the bolt11 of a charge that was paid before its
// opening ended; a paid charge without one cannot exist.
func (a *Charges) completeInvoice(ctx context.Context, id string) error {
	row, err := a.Store.GetCharge(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return a.rowMissing(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", id, err)
	}
	if row.Bolt11 != nil {
		return nil
	}
	if err := a.ours(row); err != nil {
		return err
	}
	invoice, err := a.Node.LookupInvoice(ctx, lightning.Hash(row.PaymentHash))
	lost := errors.Is(err, lightning.ErrInvoiceNotFound)
	if err != nil && !lost {
		return fmt.Errorf("look up the invoice of %s: %w", id, err)
	}
	if lost || invoice.State == lightning.InvoiceOpen || invoice.State == lightning.InvoiceAccepted {
		looked, err := a.Store.LookAtCharge(ctx, id)
		switch {
		case err != nil:
			return fmt.Errorf("look at %s: %w", id, err)
		case looked.HasReceipt:
			if invoice, err = a.remakeInvoice(ctx, row); err != nil {
				return err
			}
		case lost:
			return nil // Still before AddInvoice.
		}
	}
	addIndex := int64(invoice.AddIndex)
	if err := a.Store.StoreInvoice(ctx, db.StoreInvoiceParams{
		ID: id, Bolt11: &invoice.Bolt11, AddIndex: &addIndex, ExpiresAt: &invoice.ExpiresAt,
	}); err != nil {
		return fmt.Errorf("store the invoice of %s: %w", id, err)
	}

	return nil
}

// ours refuses a charge of another node than the one that this worker serves:
// what our node says of its invoice means nothing.
func (a *Charges) ours(row db.Charge) error {
	if row.Node != a.Node.Name() {
		return fmt.Errorf("%s is a charge of node %s, this worker serves %s", row.ID, row.Node, a.Node.Name())
	}

	return nil
}

// remakeInvoice gives an invoice to a charge that was paid before its opening
// ended, on a node that has gone back in time since and does not know of it. A
// paid charge has one: the node makes it again, once an operator has thawed
// payouts, and cancels it, so that nobody pays twice. It may be settled by now,
// where the receipt is newer than the look at the node.
func (a *Charges) remakeInvoice(ctx context.Context, row db.Charge) (lightning.Invoice, error) {
	if err := a.notRegressed(ctx, row); err != nil {
		return lightning.Invoice{}, err
	}
	invoice, err := a.addInvoice(ctx, &row)
	if err != nil || invoice.State == lightning.InvoiceSettled {
		return invoice, err
	}
	if err := a.Node.CancelInvoice(ctx, lightning.Hash(row.PaymentHash)); err != nil {
		return lightning.Invoice{}, fmt.Errorf("cancel the invoice of %s: %w", row.ID, err)
	}

	return invoice, nil
}

// recordSettled writes the receipt of an invoice that a lookup found settled.
func (a *Charges) recordSettled(ctx context.Context, invoice lightning.Invoice) error {
	_, err := a.Store.WriteReceipts(ctx, a.Node.Name(), time.Time{}, []store.Settlement{settlement(invoice)})

	return err
}

func settlement(invoice lightning.Invoice) store.Settlement {
	return store.Settlement{
		PaymentHash: invoice.PaymentHash, AmtPaidMsat: invoice.AmtPaidMsat,
		SettleIndex: invoice.SettleIndex, AddIndex: invoice.AddIndex, SettledAt: invoice.SettledAt,
	}
}

// answerOf renders a charge as the frozen 201: as it was at creation.
func answerOf(charge payments.Charge) ([]byte, error) {
	charge.Status, charge.AmountPaidMsat, charge.PaidAt = payments.ChargePending, 0, nil
	body, err := json.Marshal(charge)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", charge.ID, err)
	}

	return body, nil
}
