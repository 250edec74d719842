package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

// addInvoiceTimeout leaves room in the local activity for the two
// transactions around the call.
const addInvoiceTimeout = 2500 * time.Millisecond

// warningsTimeout bounds what is only asked for a warning.
const warningsTimeout = 300 * time.Millisecond

// OpenCharge opens the charge of a claim: the row first, with the hash of a
// preimage that only we can derive, then the invoice, then invoice and frozen
// answer in one statement. Each step finds what an earlier run did.
func (a *Charges) OpenCharge(ctx context.Context, in workflows.OpenCharge) (workflows.ChargeState, error) {
	state, err := a.open(ctx, in)
	if err == nil {
		a.Answers.Tell(in.ChargeID)
	}

	return state, err
}

func (a *Charges) open(ctx context.Context, in workflows.OpenCharge) (workflows.ChargeState, error) {
	row, answered, err := a.judge(ctx, in)
	if err != nil || (answered && row == nil) {
		return workflows.ChargeState{}, err
	}
	if answered && row.Status != string(payments.ChargeCreating) {
		return a.LookAtCharge(ctx, in.ChargeID)
	}
	if row.Bolt11 != nil {
		// Past creating, AddInvoice is never called again: the invoice is
		// in the row, only the answer is missing. Who stored the invoice had
		// a receipt.
		known := lightning.Invoice{Bolt11: *row.Bolt11, ExpiresAt: *row.ExpiresAt}
		if row.AddIndex != nil {
			known.AddIndex = uint64(*row.AddIndex)
		}
		if _, err := a.finish(ctx, row, known); err != nil {
			return workflows.ChargeState{}, err
		}

		return a.LookAtCharge(ctx, in.ChargeID)
	}
	invoice, err := a.addInvoice(ctx, row)
	if err != nil {
		return workflows.ChargeState{}, err
	}

	return a.finish(ctx, row, invoice)
}

// maxLooks bounds how often judge looks again for a row that a concurrent run
// is inserting.
const maxLooks = 3

// judge locks the claim and finds the row, or creates it if the claim is still
// open and in time. answered says that the claim has its answer; row is nil
// when that answer is a refusal.
func (a *Charges) judge(ctx context.Context, in workflows.OpenCharge) (row *db.Charge, answered bool, err error) {
	keyID := a.Keys.CurrentKeyID()
	preimage, err := a.Keys.Derive(keyID, a.Store.Environment, a.Node.Name(), in.ChargeID)
	if err != nil {
		return nil, false, fmt.Errorf("derive for %s: %w", in.ChargeID, err)
	}
	hash := preimage.Hash()
	for range maxLooks {
		judged, err := a.Store.JudgeOpening(ctx, db.JudgeOpeningParams{
			ID: in.ChargeID, StartBy: in.StartBy, Node: a.Node.Name(), KeyID: keyID, PaymentHash: hash[:],
		})
		if err == nil {
			telemetry.Set(ctx, slog.String("workspace_id", judged.WorkspaceID), slog.String("request_id", judged.RequestID))
		}
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			// The claim is written before the update is sent: without one
			// the message came from nowhere.
			return nil, false, a.rowMissing(ctx, in.ChargeID)
		case err != nil:
			return nil, false, fmt.Errorf("judge %s: %w", in.ChargeID, err)
		case judged.Existing, judged.Answered:
			// An answer without a row may be that of a run that inserted it
			// while this statement waited: its snapshot has no such row.
			existing, err := a.Store.GetCharge(ctx, in.ChargeID)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil, true, nil
			}
			if err != nil {
				return nil, false, fmt.Errorf("read %s: %w", in.ChargeID, err)
			}

			return &existing, judged.Answered, nil
		case judged.Inserted:
			row, err = a.inserted(in.ChargeID, keyID, hash, judged)

			return row, false, err
		case judged.TooLate:
			return nil, false, errOutcomeUnknown()
		}
	}

	return nil, false, fmt.Errorf("the row of %s is being inserted by another run", in.ChargeID)
}

// inserted is the row that JudgeOpening made from the claim's request.
func (a *Charges) inserted(id, keyID string, hash lightning.Hash, judged db.JudgeOpeningRow) (*db.Charge, error) {
	var request payments.ChargeRequest
	if err := json.Unmarshal(judged.Request, &request); err != nil {
		return nil, fmt.Errorf("read the request of %s: %w", id, err)
	}
	metadata := []byte("{}")
	if request.Metadata != nil {
		var err error
		if metadata, err = json.Marshal(request.Metadata); err != nil {
			return nil, fmt.Errorf("render the metadata of %s: %w", id, err)
		}
	}

	return &db.Charge{
		ID: id, WorkspaceID: judged.WorkspaceID, Node: a.Node.Name(), KeyID: keyID, PaymentHash: hash[:],
		Status: string(payments.ChargeCreating), AmountMsat: int64(request.AmountMsat),
		Description: request.Description, Metadata: metadata, ExternalID: request.ExternalID,
		ExpiresInS: request.ExpiresInS, CreatedAt: judged.CreatedAt, L402Resource: request.L402Resource,
	}, nil
}

// addInvoice makes the node's invoice of a row, or finds the one that an
// earlier run made.
func (a *Charges) addInvoice(ctx context.Context, row *db.Charge) (lightning.Invoice, error) {
	if err := a.ours(*row); err != nil {
		return lightning.Invoice{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, addInvoiceTimeout)
	defer cancel()
	preimage, err := a.Keys.Derive(row.KeyID, a.Store.Environment, row.Node, row.ID)
	if err != nil {
		return lightning.Invoice{}, fmt.Errorf("derive for %s: %w", row.ID, err)
	}
	if preimage.Hash() != lightning.Hash(row.PaymentHash) {
		// An invoice whose hash the row does not know could be paid unseen.
		a.Alerts.Raise(ctx, AlertHashMismatch, "the preimage key no longer gives the charge's hash",
			"charge", row.ID, "key", row.KeyID)

		return lightning.Invoice{}, fmt.Errorf("the key %s does not give the hash of %s", row.KeyID, row.ID)
	}
	request := lightning.NewInvoice{
		Preimage: preimage, AmountMsat: payments.Msat(row.AmountMsat),
		Expiry: time.Duration(row.ExpiresInS) * time.Second,
	}
	if row.Description != nil {
		request.Description = *row.Description
	}
	invoice, err := a.Node.AddInvoice(ctx, request)
	if errors.Is(err, lightning.ErrInvoiceExists) {
		return a.findInvoice(ctx, row)
	}
	if err != nil {
		return lightning.Invoice{}, fmt.Errorf("add the invoice of %s: %w", row.ID, err)
	}

	return invoice, nil
}

// findInvoice reads the invoice that the node already has for the row's hash.
func (a *Charges) findInvoice(ctx context.Context, row *db.Charge) (lightning.Invoice, error) {
	invoice, err := a.Node.LookupInvoice(ctx, lightning.Hash(row.PaymentHash))
	if err != nil {
		return lightning.Invoice{}, fmt.Errorf("look up the invoice of %s: %w", row.ID, err)
	}
	if invoice.ValueMsat != payments.Msat(row.AmountMsat) {
		a.Alerts.Raise(ctx, AlertHashMismatch, "the node has another invoice under the charge's hash", "charge", row.ID)

		return lightning.Invoice{}, fmt.Errorf("the node's invoice of %s is over another amount", row.ID)
	}

	return invoice, nil
}

// finish stores the invoice and the answer at once, and goes on at once where
// the node's invoice has ended in the meantime.
func (a *Charges) finish(ctx context.Context, row *db.Charge, invoice lightning.Invoice) (workflows.ChargeState, error) {
	charge := a.Store.Charge(*row)
	charge.Bolt11, charge.ExpiresAt, charge.Warnings = invoice.Bolt11, invoice.ExpiresAt, a.warnings(ctx, row)
	body, err := answerOf(charge)
	if err != nil {
		return workflows.ChargeState{}, err
	}
	created := int32(http.StatusCreated)
	var addIndex *int64
	if invoice.AddIndex > 0 {
		index := int64(invoice.AddIndex)
		addIndex = &index
	}
	closeAt := a.closings.after(invoice.ExpiresAt, time.Duration(row.ExpiresInS)*time.Second)
	status, err := a.Store.FinishOpening(ctx, db.FinishOpeningParams{
		ID: row.ID, Bolt11: &invoice.Bolt11, AddIndex: addIndex, ExpiresAt: invoice.ExpiresAt, CloseAt: closeAt,
		Warnings: charge.Warnings, AnswerStatus: &created, Answer: body,
	})
	if err != nil {
		return workflows.ChargeState{}, fmt.Errorf("finish %s: %w", row.ID, err)
	}
	switch {
	case status != string(payments.ChargePending):
		return a.LookAtCharge(ctx, row.ID)
	case invoice.State == lightning.InvoiceSettled:
		if err := a.recordSettled(ctx, invoice); err != nil {
			return workflows.ChargeState{}, err
		}

		return a.SettleCharge(ctx, row.ID)
	case invoice.State == lightning.InvoiceCanceled:
		// A remade invoice is canceled, and its charge paid.
		if state, err := a.SettleCharge(ctx, row.ID); err != nil || state.Status == payments.ChargePaid {
			return state, err
		}

		return a.end(ctx, row.ID, endRequest{status: payments.ChargeExpired, nodeCanceled: true})
	}

	return workflows.ChargeState{
		PaymentHash: lightning.Hash(row.PaymentHash).String(),
		Status:      payments.ChargePending,
		DueIn:       time.Until(closeAt),
	}, nil
}

// warnings says what the client should know. They never stop a charge: a
// channel may open before it is paid.
func (a *Charges) warnings(ctx context.Context, row *db.Charge) []string {
	ctx, cancel := context.WithTimeout(ctx, warningsTimeout)
	defer cancel()
	receivable, err := a.Node.ReceivableMsat(ctx)
	if err != nil || receivable >= payments.Msat(row.AmountMsat) {
		return []string{}
	}
	a.Settle.metrics.insufficientInbound.Inc()

	return []string{payments.WarningInsufficientInbound}
}
