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
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// Sandbox are the activities that play the world outside, on a second node.
// Nothing here touches the ledger: what the payer node does comes to it as
// anybody's payment would.
type Sandbox struct {
	Store *store.Store
	// Payer is nil where none is configured, as in production always.
	Payer lightning.Payer
	Keys  *lightning.KeyRing
	Log   *slog.Logger
}

const (
	// payerTimeout leaves room in the local activity for the two transactions
	// around the calls.
	payerTimeout = 2500 * time.Millisecond
	// sandboxExpiry is that of the payer's invoices.
	sandboxExpiry = 24 * time.Hour
	// sandboxPayTimeout is how long one attempt at a payment is waited for; lnd
	// begins no new route after 20 s.
	sandboxPayTimeout = 35 * time.Second
)

// sandboxAnswer is what a sandbox POST is answered with.
type sandboxAnswer struct {
	status int
	object any
}

func answered(status int, object any) *sandboxAnswer { return &sandboxAnswer{status, object} }

// refusedWith is the answer of a problem, under the request id of the claim.
func refusedWith(claim db.LockClaimRow, code payments.Code, detail string) *sandboxAnswer {
	problem := payments.NewProblem(code, detail)
	problem.RequestID = claim.RequestID

	return answered(problem.Status, problem)
}

// DecideSandbox does for the claim of a sandbox POST what it asks for, and
// freezes the answer. Each step on the node finds what an earlier run did. A
// payment is only accepted here: PaySandboxCharge makes it.
func (a *Sandbox) DecideSandbox(ctx context.Context, in workflows.DecideSandbox) (workflows.SandboxState, error) {
	claim, request, err := a.judge(ctx, in)
	if err != nil {
		return workflows.SandboxState{}, err
	}
	if claim.AnswerStatus != nil {
		return sandboxState(request, *claim.AnswerStatus), nil
	}
	if a.Payer == nil {
		return a.freeze(ctx, claim, request, refusedWith(claim, payments.CodeNoPayerNode, "The worker has no payer node configured."))
	}
	var answer *sandboxAnswer
	switch request.Operation {
	case payments.SandboxPay:
		answer, err = a.acceptPayment(ctx, claim, request)
	case payments.SandboxCreateInvoice:
		return a.createInvoice(ctx, claim, request)
	case payments.SandboxRelease, payments.SandboxCancel:
		answer, err = a.endHeld(ctx, claim, request)
	default:
		err = fmt.Errorf("the claim %s asks for %q", claim.ResourceID, request.Operation)
	}
	if errors.Is(err, lightning.ErrNotTestNetwork) {
		answer, err = a.otherNetwork(ctx, claim, err), nil
	}
	if err != nil {
		return workflows.SandboxState{}, err
	}

	return a.freeze(ctx, claim, request, answer)
}

// otherNetwork refuses for a node that is not where it must be.
func (a *Sandbox) otherNetwork(ctx context.Context, claim db.LockClaimRow, err error) *sandboxAnswer {
	a.Log.ErrorContext(ctx, "the payer node is not used", "claim", claim.ResourceID, "error", err)

	return refusedWith(claim, payments.CodeNoPayerNode, "The payer node is not on the configured test network.")
}

// judge reads the claim; one without an answer whose time is over is left
// alone. What is done about it then may be done by two at once.
func (a *Sandbox) judge(ctx context.Context, in workflows.DecideSandbox,
) (claim db.LockClaimRow, request payments.SandboxRequest, err error) {
	err = a.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		claim, err = q.LockClaim(ctx, db.LockClaimParams{ResourceID: in.ClaimID, StartBy: in.StartBy})

		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		// The claim is written before the update is sent.
		err = temporal.NewNonRetryableApplicationError("no claim "+in.ClaimID, workflows.ErrTypeRowMissing, nil)
	case err != nil:
		err = fmt.Errorf("lock claim %s: %w", in.ClaimID, err)
	case claim.AnswerStatus == nil && claim.TooLate:
		err = errOutcomeUnknown()
	default:
		if err = json.Unmarshal(claim.Request, &request); err != nil {
			err = fmt.Errorf("read the request of %s: %w", in.ClaimID, err)
		}
	}

	return claim, request, err
}

func sandboxState(request payments.SandboxRequest, status int32) workflows.SandboxState {
	return workflows.SandboxState{
		Status: int(status), Pay: request.Operation == payments.SandboxPay && status == http.StatusAccepted,
	}
}

// freeze stores the answer, unless another run has: the first one counts.
func (a *Sandbox) freeze(ctx context.Context, claim db.LockClaimRow, request payments.SandboxRequest, answer *sandboxAnswer,
) (workflows.SandboxState, error) {
	body, err := json.Marshal(answer.object)
	if err != nil {
		return workflows.SandboxState{}, fmt.Errorf("render the answer of %s: %w", claim.ResourceID, err)
	}
	if err := store.Freeze(ctx, a.Store.Queries, claim.ResourceID, int32(answer.status), body); err != nil {
		return workflows.SandboxState{}, err
	}

	return a.frozen(ctx, claim, request)
}

// frozen is the state of a claim that is surely answered.
func (a *Sandbox) frozen(ctx context.Context, claim db.LockClaimRow, request payments.SandboxRequest) (workflows.SandboxState, error) {
	row, err := a.Store.ReadAnswer(ctx, claim.ResourceID)
	if err != nil {
		return workflows.SandboxState{}, fmt.Errorf("read the answer of %s: %w", claim.ResourceID, err)
	}
	if row.AnswerStatus == nil {
		return workflows.SandboxState{}, fmt.Errorf("the answer of %s was not stored", claim.ResourceID)
	}

	return sandboxState(request, *row.AnswerStatus), nil
}

// acceptPayment judges by the row whether the charge can be paid. The node is
// asked for its network only.
func (a *Sandbox) acceptPayment(ctx context.Context, claim db.LockClaimRow, request payments.SandboxRequest) (*sandboxAnswer, error) {
	row, err := a.Store.ReadCharge(ctx, db.ReadChargeParams{ID: request.ChargeID, WorkspaceID: claim.WorkspaceID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return refusedWith(claim, payments.CodeNotFound, "No such object exists for this API key."), nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", request.ChargeID, err)
	case row.Status != string(payments.ChargePending):
		return refusedWith(claim, payments.CodeChargeNotPayable, "The charge is "+row.Status+"."), nil
	case row.SettlingBy != nil:
		return refusedWith(claim, payments.CodeChargeNotPayable, "The charge is being paid."), nil
	}
	ctx, cancel := context.WithTimeout(ctx, payerTimeout)
	defer cancel()
	if err := a.Payer.Ready(ctx); err != nil {
		return nil, err
	}

	return answered(http.StatusAccepted, payments.SandboxPayment{
		ID: claim.ResourceID, Object: "sandbox_payment", Environment: a.Store.Environment,
		ChargeID: row.ID, AmountMsat: max(request.AmountMsat, payments.Msat(row.AmountMsat)),
	}), nil
}

// createInvoice makes the invoice on the node, then the row and the answer in
// one transaction. One that is left without its row is found by its repeat.
func (a *Sandbox) createInvoice(ctx context.Context, claim db.LockClaimRow, request payments.SandboxRequest,
) (workflows.SandboxState, error) {
	keyID := a.Keys.CurrentKeyID()
	preimage, err := a.Keys.DeriveSandbox(keyID, claim.ResourceID)
	if err != nil {
		return workflows.SandboxState{}, fmt.Errorf("derive for %s: %w", claim.ResourceID, err)
	}
	bolt11, err := a.addInvoice(ctx, preimage, request)
	if errors.Is(err, lightning.ErrNotTestNetwork) {
		return a.freeze(ctx, claim, request, a.otherNetwork(ctx, claim, err))
	}
	if err != nil {
		return workflows.SandboxState{}, fmt.Errorf("make the invoice %s: %w", claim.ResourceID, err)
	}
	hash := preimage.Hash()
	err = a.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		now, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: claim.ResourceID})
		if err != nil || now.AnswerStatus != nil {
			return err
		}
		row, err := q.InsertSandboxInvoice(ctx, db.InsertSandboxInvoiceParams{
			ID: claim.ResourceID, WorkspaceID: claim.WorkspaceID, Behaviour: string(request.Behaviour),
			AmountMsat: int64(request.AmountMsat), KeyID: keyID, PaymentHash: hash[:], Bolt11: bolt11,
		})
		if err != nil {
			return err
		}
		body, err := json.Marshal(a.Store.SandboxInvoice(row))
		if err != nil {
			return err
		}

		return store.Freeze(ctx, q, claim.ResourceID, http.StatusCreated, body)
	})
	if err != nil {
		return workflows.SandboxState{}, fmt.Errorf("store the invoice %s: %w", claim.ResourceID, err)
	}

	return a.frozen(ctx, claim, request)
}

// addInvoice makes the invoice, or finds it, and cancels one that is to fail:
// the recipient of a canceled invoice refuses its payment as one that it does
// not know (invoices/update.go, incorrect_or_unknown_payment_details).
func (a *Sandbox) addInvoice(ctx context.Context, preimage lightning.Preimage, request payments.SandboxRequest,
) (bolt11 string, err error) {
	ctx, cancel := context.WithTimeout(ctx, payerTimeout)
	defer cancel()
	bolt11, err = a.Payer.AddInvoice(ctx, lightning.PayerInvoice{
		Preimage: preimage, AmountMsat: request.AmountMsat, Expiry: sandboxExpiry, Hold: request.Behaviour == payments.SandboxHold,
	})
	if errors.Is(err, lightning.ErrInvoiceExists) {
		var found lightning.Invoice
		found, err = a.Payer.LookupInvoice(ctx, preimage.Hash())
		bolt11 = found.Bolt11
	}
	if err == nil && request.Behaviour == payments.SandboxFail {
		err = a.Payer.CancelInvoice(ctx, preimage.Hash())
	}

	return bolt11, err
}

// endHeld releases or cancels what an invoice holds. What the node says of it
// decides; a change in between is an error, and the next attempt sees it.
func (a *Sandbox) endHeld(ctx context.Context, claim db.LockClaimRow, request payments.SandboxRequest) (*sandboxAnswer, error) {
	row, err := a.Store.ReadSandboxInvoice(ctx, db.ReadSandboxInvoiceParams{ID: request.InvoiceID, WorkspaceID: claim.WorkspaceID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return refusedWith(claim, payments.CodeNotFound, "No such object exists for this API key."), nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", request.InvoiceID, err)
	case row.Behaviour != string(payments.SandboxHold):
		return refusedWith(claim, payments.CodeInvoiceNotHeld, "The behaviour of the invoice is "+row.Behaviour+"."), nil
	}
	ctx, cancel := context.WithTimeout(ctx, payerTimeout)
	defer cancel()
	invoice, err := a.Payer.LookupInvoice(ctx, lightning.Hash(row.PaymentHash))
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", row.ID, err)
	}
	done := answered(http.StatusOK, a.Store.SandboxInvoice(row))
	wanted := lightning.InvoiceSettled
	if request.Operation == payments.SandboxCancel {
		wanted = lightning.InvoiceCanceled
	}
	switch invoice.State {
	case wanted:
		return done, nil
	case lightning.InvoiceAccepted:
		return done, a.end(ctx, row, wanted)
	case lightning.InvoiceSettled:
		return refusedWith(claim, payments.CodeInvoiceNotHeld, "The payment was released."), nil
	case lightning.InvoiceCanceled:
		return refusedWith(claim, payments.CodeInvoiceNotHeld, "The invoice was canceled or has expired."), nil
	case lightning.InvoiceOpen:
	}

	return refusedWith(claim, payments.CodeInvoiceNotHeld, "No payment has arrived yet."), nil
}

func (a *Sandbox) end(ctx context.Context, row db.SandboxInvoice, wanted lightning.InvoiceState) error {
	if wanted == lightning.InvoiceCanceled {
		if err := a.Payer.CancelInvoice(ctx, lightning.Hash(row.PaymentHash)); err != nil {
			return fmt.Errorf("cancel %s: %w", row.ID, err)
		}

		return nil
	}
	preimage, err := a.Keys.DeriveSandbox(row.KeyID, row.ID)
	if err != nil {
		return fmt.Errorf("derive for %s: %w", row.ID, err)
	}
	if err := a.Payer.SettleInvoice(ctx, preimage); err != nil {
		return fmt.Errorf("release %s: %w", row.ID, err)
	}

	return nil
}

// PaySandboxCharge pays the charge of a claim that was accepted. It may run
// twice: lnd pays a hash once, and refuses a second payment of it while the
// first is under way or has succeeded. An error is tried again by Temporal, but
// one of the type NotPaid.
func (a *Sandbox) PaySandboxCharge(ctx context.Context, claimID string) (workflows.SandboxResult, error) {
	claim, err := a.Store.ReadSandboxClaim(ctx, claimID)
	if err != nil {
		return workflows.SandboxResult{}, fmt.Errorf("read claim %s: %w", claimID, err)
	}
	var request payments.SandboxRequest
	if err := json.Unmarshal(claim.Request, &request); err != nil {
		return workflows.SandboxResult{}, fmt.Errorf("read the request of %s: %w", claimID, err)
	}
	row, err := a.Store.ReadCharge(ctx, db.ReadChargeParams{ID: request.ChargeID, WorkspaceID: claim.WorkspaceID})
	switch {
	case err != nil:
		return workflows.SandboxResult{}, fmt.Errorf("read %s: %w", request.ChargeID, err)
	case row.Status != string(payments.ChargePending):
		return workflows.SandboxResult{Outcome: "the charge is " + row.Status + " by now"}, nil
	case row.Bolt11 == nil || a.Payer == nil:
		return workflows.SandboxResult{}, notPaid("there is no payer node, or no invoice")
	}
	ctx, cancel := context.WithTimeout(ctx, sandboxPayTimeout)
	defer cancel()
	payment, err := a.Payer.Pay(ctx, *row.Bolt11, request.AmountMsat)
	switch {
	case errors.Is(err, lightning.ErrPaymentExists):
		return workflows.SandboxResult{Outcome: "the payer node pays it already, or has"}, nil
	case errors.Is(err, lightning.ErrPaymentRefused), errors.Is(err, lightning.ErrNotTestNetwork):
		return workflows.SandboxResult{}, notPaid(err.Error())
	case err != nil:
		return workflows.SandboxResult{}, fmt.Errorf("pay %s: %w", row.ID, err)
	}

	return paymentOutcome(payment)
}

// paymentOutcome judges a payment that is final. What failed may be tried
// again: a route may be there later, but not a recipient who refuses.
func paymentOutcome(payment lightning.Payment) (workflows.SandboxResult, error) {
	switch {
	case payment.State == lightning.PaymentSucceeded:
		return workflows.SandboxResult{Outcome: fmt.Sprintf("paid %d msat", payment.ValueMsat)}, nil
	case payment.Reason == lightning.ReasonIncorrectDetails:
		return workflows.SandboxResult{}, notPaid("the node refused it, as it does a canceled invoice's")
	case payment.State != lightning.PaymentFailed:
		return workflows.SandboxResult{}, fmt.Errorf("the payment is %s", payment.State)
	}

	return workflows.SandboxResult{}, temporal.NewApplicationError(fmt.Sprintf("the payment failed: %s", payment.Reason),
		workflows.ErrTypePaymentFailed)
}

// notPaid ends the attempts.
func notPaid(why string) error {
	return temporal.NewNonRetryableApplicationError(why, workflows.ErrTypeNotPaid, nil)
}
