package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// fakeSandbox does to the rows what the sandbox's workflow does, without a
// payer node.
type fakeSandbox struct {
	scripted
	store *store.Store
	// refuse answers the next claims with a problem.
	refuse *payments.Problem
	// asked are the requests in the claims, in order.
	asked []payments.SandboxRequest
}

// DecideSandbox answers the claim.
func (f *fakeSandbox) DecideSandbox(ctx context.Context, ref workflows.SandboxRef, startBy time.Time) error {
	return f.do(func() error {
		return f.store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
			claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: ref.ClaimID, StartBy: startBy})
			if err != nil || claim.AnswerStatus != nil {
				return err
			}
			var request payments.SandboxRequest
			if err := json.Unmarshal(claim.Request, &request); err != nil {
				return err
			}
			f.asked = append(f.asked, request)
			if f.refuse != nil {
				return freezeProblem(ctx, q, claim, f.refuse)
			}

			return f.answer(ctx, q, claim, request)
		})
	})
}

func (f *fakeSandbox) answer(ctx context.Context, q *db.Queries, claim db.LockClaimRow, request payments.SandboxRequest) error {
	switch request.Operation {
	case payments.SandboxPay:
		return freeze(ctx, q, claim.ResourceID, http.StatusAccepted, payments.SandboxPayment{
			ID: claim.ResourceID, Object: "sandbox_payment", Environment: f.store.Environment,
			ChargeID: request.ChargeID, AmountMsat: max(request.AmountMsat, 1),
		})
	case payments.SandboxCreateInvoice:
		row, err := q.InsertSandboxInvoice(ctx, db.InsertSandboxInvoiceParams{
			ID: claim.ResourceID, WorkspaceID: claim.WorkspaceID, Behaviour: string(request.Behaviour),
			AmountMsat: int64(request.AmountMsat), KeyID: "test", Bolt11: "lnbcrt1",
			PaymentHash: []byte(claim.ResourceID + strings.Repeat("0", 2)),
		})
		if err != nil {
			return err
		}

		return freeze(ctx, q, claim.ResourceID, http.StatusCreated, f.store.SandboxInvoice(row))
	case payments.SandboxRelease, payments.SandboxCancel:
	}
	row, err := q.ReadSandboxInvoice(ctx, db.ReadSandboxInvoiceParams{ID: request.InvoiceID, WorkspaceID: claim.WorkspaceID})
	if err != nil {
		return err
	}

	return freeze(ctx, q, claim.ResourceID, http.StatusOK, f.store.SandboxInvoice(row))
}
