package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// errRegressed means that the node lacks what it has had: nothing is concluded
// from an invoice that it does not know.
var errRegressed = errors.New("activities: the node went back in time, conclusions from what it lacks are frozen")

// ExpireCharge closes a charge whose time is over by Postgres' clock, if the
// node agrees: canceling the invoice decides, and what it settled is credited.
func (a *Charges) ExpireCharge(ctx context.Context, id string) (workflows.ChargeState, error) {
	state, err := a.LookAtCharge(ctx, id)
	if err != nil {
		return state, err
	}
	if state.Status != payments.ChargePending || state.DueIn > 0 || state.HasReceipt || state.Claimed {
		return state, nil
	}
	row, err := a.Store.GetCharge(ctx, id)
	if err != nil {
		return state, fmt.Errorf("read %s: %w", id, err)
	}
	settled, err := a.cancelInvoice(ctx, row)
	if err != nil {
		return workflows.ChargeState{}, err
	}
	if settled {
		return a.SettleCharge(ctx, id)
	}

	return a.end(ctx, id, endRequest{status: payments.ChargeExpired})
}

// CancelCharge closes a charge for a claim and freezes the answer: 200 with
// the canceled charge, or 409.
func (a *Charges) CancelCharge(ctx context.Context, in workflows.CancelCharge) (workflows.ChargeState, error) {
	answered, row, err := a.judgeCancel(ctx, in)
	if err != nil {
		return workflows.ChargeState{}, err
	}
	if answered {
		return a.LookAtCharge(ctx, in.ChargeID)
	}
	settled, err := a.cancelInvoice(ctx, row)
	if err != nil {
		return workflows.ChargeState{}, err
	}
	if settled {
		if _, err := a.SettleCharge(ctx, in.ChargeID); err != nil {
			return workflows.ChargeState{}, err
		}
	}
	if _, err := a.end(ctx, in.ChargeID, endRequest{status: payments.ChargeCanceled, claimID: in.ClaimID}); err != nil {
		return workflows.ChargeState{}, err
	}
	// Where the swap was lost to money or to a book transfer, judging again
	// freezes the refusal.
	if answered, _, err = a.judgeCancel(ctx, in); err == nil && !answered {
		err = fmt.Errorf("cancel of %s is not decided yet", in.ChargeID)
	}
	if err != nil {
		return workflows.ChargeState{}, err
	}

	return a.LookAtCharge(ctx, in.ChargeID)
}

// judgeCancel answers the claim by the row alone where that is possible:
// canceled before is 200 again; paid, expired or being paid is 409.
func (a *Charges) judgeCancel(ctx context.Context, in workflows.CancelCharge) (answered bool, row db.Charge, err error) {
	err = a.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: in.ClaimID, StartBy: in.StartBy})
		if errors.Is(err, pgx.ErrNoRows) {
			return a.rowMissing(ctx, in.ClaimID)
		}
		if err != nil {
			return fmt.Errorf("lock claim %s: %w", in.ClaimID, err)
		}
		if !asksFor(claim.Request, in.ChargeID) {
			return a.rowMissing(ctx, in.ClaimID)
		}
		if row, err = q.GetCharge(ctx, in.ChargeID); errors.Is(err, pgx.ErrNoRows) {
			return a.rowMissing(ctx, in.ChargeID)
		} else if err != nil {
			return fmt.Errorf("read %s: %w", in.ChargeID, err)
		}
		if row.WorkspaceID != claim.WorkspaceID {
			return a.rowMissing(ctx, in.ChargeID)
		}
		if answered = claim.Answer != nil; answered {
			return nil
		}
		if claim.TooLate {
			return errOutcomeUnknown()
		}
		status, body, err := a.cancelAnswer(row, claim.RequestID)
		if err != nil || body == nil {
			return err
		}
		answered = true

		return store.Freeze(ctx, q, in.ClaimID, status, body)
	})

	return answered, row, err
}

// asksFor reports whether the claim of a cancel is about this charge. The
// message only brings two ids (rule R3): that one may end the other is in the
// claim, or a message from nowhere could close any charge of a workspace and
// freeze the answer into any claim.
func asksFor(request []byte, chargeID string) bool {
	var asked struct {
		ChargeID string `json:"charge_id"`
	}

	return json.Unmarshal(request, &asked) == nil && asked.ChargeID == chargeID
}

// cancelAnswer is the answer that a row gives by itself; no body means that
// the node must be asked.
func (a *Charges) cancelAnswer(row db.Charge, requestID string) (status int32, body []byte, err error) {
	var answer any
	switch payments.ChargeStatus(row.Status) {
	case payments.ChargeCanceled:
		status, answer = 200, a.Store.Charge(row)
	case payments.ChargePaid, payments.ChargeExpired:
		problem := payments.NewProblem(payments.CodeChargeNotCancelable, "The charge is "+row.Status+".")
		problem.RequestID = requestID
		status, answer = int32(problem.Status), problem
	case payments.ChargePending, payments.ChargeCreating:
		if row.SettlingBy == nil {
			return 0, nil, nil
		}
		problem := payments.NewProblem(payments.CodeChargeNotCancelable, "The charge is being paid.")
		problem.RequestID = requestID
		status, answer = int32(problem.Status), problem
	}
	if body, err = json.Marshal(answer); err != nil {
		return 0, nil, fmt.Errorf("render the answer for %s: %w", row.ID, err)
	}

	return status, body, nil
}

// cancelInvoice asks the node to cancel; settled says that money came first
// and that its receipt is written. An invoice that the node does not have
// counts as canceled only if the node has not gone back in time. A node that is
// known to have is not asked: what it settled in the time that it lost is not
// in its word, so expiries wait for an operator's thaw.
func (a *Charges) cancelInvoice(ctx context.Context, row db.Charge) (settled bool, err error) {
	if err := a.mayAsk(ctx, row); err != nil {
		return false, err
	}
	hash := lightning.Hash(row.PaymentHash)
	err = a.Node.CancelInvoice(ctx, hash)
	refusedAsSettled := errors.Is(err, lightning.ErrInvoiceSettled)
	switch {
	case err == nil:
		return false, nil
	case !refusedAsSettled && !errors.Is(err, lightning.ErrInvoiceNotFound):
		return false, fmt.Errorf("cancel invoice: %w", err)
	}
	invoice, err := a.Node.LookupInvoice(ctx, hash)
	switch {
	case errors.Is(err, lightning.ErrInvoiceNotFound) && refusedAsSettled:
		return false, errors.New("the node settled the invoice and does not know it")
	case errors.Is(err, lightning.ErrInvoiceNotFound):
		return false, a.notRegressed(ctx, row)
	case err != nil:
		return false, fmt.Errorf("look up invoice: %w", err)
	case invoice.State != lightning.InvoiceSettled:
		return false, fmt.Errorf("the node would not cancel an invoice that it says is %s", invoice.State)
	}

	return true, a.recordSettled(ctx, invoice)
}

// isSettled reports whether the node has settled the invoice, whose receipt is
// written then. It changes nothing on the node, and no is for now.
func (a *Charges) isSettled(ctx context.Context, row db.Charge) (bool, error) {
	if err := a.mayAsk(ctx, row); err != nil {
		return false, err
	}
	invoice, err := a.Node.LookupInvoice(ctx, lightning.Hash(row.PaymentHash))
	switch {
	case errors.Is(err, lightning.ErrInvoiceNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up invoice: %w", err)
	case invoice.State != lightning.InvoiceSettled:
		return false, nil
	}

	return true, a.recordSettled(ctx, invoice)
}

// mayAsk is nil when the charge is of our node, and that is not known to have
// gone back in time.
func (a *Charges) mayAsk(ctx context.Context, row db.Charge) error {
	if err := a.ours(row); err != nil {
		return err
	}
	node, err := a.Store.GetNode(ctx, row.Node)
	if err != nil {
		return fmt.Errorf("read node %s: %w", row.Node, err)
	}
	if node.RegressedAt != nil {
		return errRegressed
	}

	return nil
}

// notRegressed is nil when the node still has the highest invoice that it was
// seen to have since it was last thawed: by the sweeper, or when it made the
// row's own.
func (a *Charges) notRegressed(ctx context.Context, row db.Charge) error {
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	present, err := a.Node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}
	if row.AddIndex != nil {
		node.HighestAddIndex = max(node.HighestAddIndex, *row.AddIndex)
	}
	if regressed(node, present) {
		if err := markRegressed(ctx, a.Store, a.Alerts, node, present); err != nil {
			return err
		}

		return errRegressed
	}
	if node.RegressedAt != nil {
		return errRegressed
	}

	return nil
}

type endRequest struct {
	status       payments.ChargeStatus
	claimID      string
	nodeCanceled bool
}

// end closes the row if it still allows it and returns it as it is then.
func (a *Charges) end(ctx context.Context, id string, end endRequest) (workflows.ChargeState, error) {
	_, _, err := a.Store.EndCharge(ctx, store.EndCharge{
		ID: id, Status: end.status, NodeCanceled: end.nodeCanceled, ClaimID: end.claimID,
	})
	if err != nil {
		return workflows.ChargeState{}, err
	}

	return a.LookAtCharge(ctx, id)
}
