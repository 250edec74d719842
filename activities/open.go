package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// addInvoiceTimeout leaves room in the local activity for the two
// transactions around the call.
const addInvoiceTimeout = 2500 * time.Millisecond

// OpenCharge opens the charge of a claim: the row first, with the hash of a
// preimage that only we can derive, then the invoice, then invoice and frozen
// answer in one statement. Each step finds what an earlier run did.
func (a *Charges) OpenCharge(ctx context.Context, in workflows.OpenCharge) (workflows.ChargeState, error) {
	row, answered, err := a.judge(ctx, in)
	if err != nil || (answered && row == nil) {
		return workflows.ChargeState{}, err
	}
	if answered && row.Status != string(payments.ChargeCreating) {
		return a.LookAtCharge(ctx, in.ChargeID)
	}
	if row.Bolt11 != nil {
		// Past creating, AddInvoice is never called again: the invoice is
		// in the row, only the answer is missing.
		return a.finish(ctx, row, lightning.Invoice{
			Bolt11: *row.Bolt11, AddIndex: uint64(*row.AddIndex), ExpiresAt: *row.ExpiresAt,
		})
	}
	invoice, err := a.addInvoice(ctx, row)
	if err != nil {
		return workflows.ChargeState{}, err
	}

	return a.finish(ctx, row, invoice)
}

// judge locks the claim and finds the row, or creates it if the claim is still
// open and in time. answered says that the claim has its answer; row is nil
// when that answer is a refusal.
func (a *Charges) judge(ctx context.Context, in workflows.OpenCharge) (row *db.Charge, answered bool, err error) {
	err = a.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: in.ChargeID, StartBy: in.StartBy})
		if errors.Is(err, pgx.ErrNoRows) {
			// The claim is written before the update is sent: without one
			// the message came from nowhere.
			return a.rowMissing(ctx, in.ChargeID)
		}
		if err != nil {
			return fmt.Errorf("lock claim %s: %w", in.ChargeID, err)
		}
		answered = claim.Answer != nil
		existing, err := q.GetCharge(ctx, in.ChargeID)
		switch {
		case err == nil:
			row = &existing

			return nil
		case !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("read %s: %w", in.ChargeID, err)
		case answered:
			return nil
		case claim.TooLate:
			return errOutcomeUnknown()
		}
		row, err = a.insert(ctx, q, claim)

		return err
	})

	return row, answered, err
}

// insert creates the row of a claim.
func (a *Charges) insert(ctx context.Context, q *db.Queries, claim db.LockClaimRow) (*db.Charge, error) {
	var request payments.ChargeRequest
	if err := json.Unmarshal(claim.Request, &request); err != nil {
		return nil, fmt.Errorf("read the request of %s: %w", claim.ResourceID, err)
	}
	metadata, err := json.Marshal(request.Metadata)
	if err != nil {
		return nil, fmt.Errorf("render the metadata of %s: %w", claim.ResourceID, err)
	}
	if request.Metadata == nil {
		metadata = []byte("{}")
	}
	keyID := a.Keys.CurrentKeyID()
	preimage, err := a.Keys.Derive(keyID, a.Store.Environment, a.Node.Name(), claim.ResourceID)
	if err != nil {
		return nil, fmt.Errorf("derive for %s: %w", claim.ResourceID, err)
	}
	hash := preimage.Hash()
	row, err := q.InsertCharge(ctx, db.InsertChargeParams{
		ID: claim.ResourceID, WorkspaceID: claim.WorkspaceID, Node: a.Node.Name(), KeyID: keyID,
		PaymentHash: hash[:], AmountMsat: int64(request.AmountMsat), Description: request.Description,
		Metadata: metadata, ExternalID: request.ExternalID, ExpiresInS: request.ExpiresInS,
	})
	if err != nil {
		return nil, fmt.Errorf("insert %s: %w", claim.ResourceID, err)
	}

	return &row, nil
}

// addInvoice makes the node's invoice of a row, or finds the one that an
// earlier run made.
func (a *Charges) addInvoice(ctx context.Context, row *db.Charge) (lightning.Invoice, error) {
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
	created, addIndex := int32(http.StatusCreated), int64(invoice.AddIndex)
	status, err := a.Store.FinishOpening(ctx, db.FinishOpeningParams{
		ID: row.ID, Bolt11: &invoice.Bolt11, AddIndex: &addIndex, ExpiresAt: invoice.ExpiresAt,
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
		return a.end(ctx, row.ID, endRequest{status: payments.ChargeExpired, nodeCanceled: true})
	}

	return workflows.ChargeState{
		Status: payments.ChargePending, DueIn: time.Until(invoice.ExpiresAt),
	}, nil
}

// warnings says what the client should know. They never stop a charge: a
// channel may open before it is paid.
func (a *Charges) warnings(ctx context.Context, row *db.Charge) []string {
	receivable, err := a.Node.ReceivableMsat(ctx)
	if err != nil || receivable >= payments.Msat(row.AmountMsat) {
		return []string{}
	}
	a.Settle.metrics.insufficientInbound.Inc()

	return []string{payments.WarningInsufficientInbound}
}
