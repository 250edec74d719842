package activities

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

// HoldWithdrawal is the opening transaction of a withdrawal: it judges the
// claim by the books, locks amount and fee limit, and freezes the answer, a
// refusal too. Once answered nothing is judged again.
func (a *Withdrawals) HoldWithdrawal(ctx context.Context, in workflows.HoldWithdrawal) (workflows.WithdrawalState, error) {
	var held *db.Withdrawal
	err := a.Store.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		claim, err := q.LockClaim(ctx, db.LockClaimParams{ResourceID: in.WithdrawalID, StartBy: in.StartBy})
		if errors.Is(err, pgx.ErrNoRows) {
			// The claim is written before the update is sent: without one
			// the message came from nowhere.
			return a.rowMissing(ctx, in.WithdrawalID)
		}
		if err != nil {
			return fmt.Errorf("lock claim %s: %w", in.WithdrawalID, err)
		}
		telemetry.Set(ctx, slog.String("workspace_id", claim.WorkspaceID), slog.String("request_id", claim.RequestID))
		if claim.Answer != nil {
			return nil
		}
		if claim.TooLate {
			return errOutcomeUnknown()
		}

		held, err = a.judgeHold(ctx, tx, q, claim)

		return err
	})
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if held != nil {
		return a.state(ctx, db.LookAtWithdrawalRow{Withdrawal: *held})
	}

	return a.LookAtWithdrawal(ctx, in.WithdrawalID)
}

// judgeHold locks the funds and answers 201, or refuses; in a transaction
// within the one that holds the claim, so that a refusal leaves nothing but
// itself. The row is nil after a refusal.
func (a *Withdrawals) judgeHold(ctx context.Context, tx pgx.Tx, q *db.Queries, claim db.LockClaimRow) (*db.Withdrawal, error) {
	var request payments.WithdrawalRequest
	if err := json.Unmarshal(claim.Request, &request); err != nil {
		return nil, fmt.Errorf("read the request of %s: %w", claim.ResourceID, err)
	}
	hash, err := hex.DecodeString(request.PaymentHash)
	if err != nil {
		return nil, fmt.Errorf("read the request of %s: %w", claim.ResourceID, err)
	}
	h := &hold{claim: claim, request: request, hash: hash, node: a.Node.Name()}
	err = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error { return a.hold(ctx, inner, q.WithTx(inner), h) })
	var problem *payments.Problem
	if !errors.As(err, &problem) {
		return &h.held, err
	}
	problem.RequestID = claim.RequestID
	body, err := json.Marshal(problem)
	if err != nil {
		return nil, fmt.Errorf("render the refusal of %s: %w", claim.ResourceID, err)
	}

	return nil, store.Freeze(ctx, q, claim.ResourceID, int32(problem.Status), body)
}

// hold is one claim on its way to a row.
type hold struct {
	claim   db.LockClaimRow
	request payments.WithdrawalRequest
	hash    []byte
	node    string
	// chargeID is set when the invoice is a charge of ours.
	chargeID *string
	// held is the row, once it is inserted.
	held db.Withdrawal
}

// hold makes the row, locks the funds and freezes the 201. A refusal is a
// *payments.Problem.
func (a *Withdrawals) hold(ctx context.Context, tx pgx.Tx, q *db.Queries, h *hold) error {
	if err := q.EnterPayoutGate(ctx); err != nil {
		return fmt.Errorf("enter the payout gate: %w", err)
	}
	if err := q.HoldOneByOne(ctx, db.HoldOneByOneParams{WorkspaceID: h.claim.WorkspaceID, Node: h.node}); err != nil {
		return fmt.Errorf("wait for other holds: %w", err)
	}
	facts, err := q.JudgeHold(ctx, db.JudgeHoldParams{
		PaymentHash: h.hash, Destination: h.request.Destination,
		WorkspaceID: h.claim.WorkspaceID, Node: h.node,
	})
	if err != nil {
		return fmt.Errorf("judge %s: %w", h.claim.ResourceID, err)
	}
	own, err := store.Overrides(ctx, q, h.claim.WorkspaceID)
	if err != nil {
		return err
	}
	if problem := a.Policy.with(own).refusal(facts, h.request); problem != nil {
		return problem
	}
	kind := payments.WithdrawalLightning
	if facts.OwnNode {
		kind, h.request.MaxFeeMsat = payments.WithdrawalBook, 0
		if err := h.claimCharge(ctx, q); err != nil {
			return err
		}
	}
	row, err := q.InsertWithdrawal(ctx, h.row(kind))
	if errors.Is(err, pgx.ErrNoRows) {
		return duplicatePayment()
	}
	if err != nil {
		return fmt.Errorf("insert %s: %w", h.claim.ResourceID, err)
	}
	h.held = row
	body, err := json.Marshal(a.Store.Withdrawal(row))
	if err != nil {
		return fmt.Errorf("render %s: %w", row.ID, err)
	}
	if err := store.Freeze(ctx, q, row.ID, http.StatusCreated, body); err != nil {
		return err
	}
	_, err = ledger.Post(ctx, tx, []ledger.Entry{{
		WorkspaceID: row.WorkspaceID, Kind: ledger.KindWithdrawalLock, Ref: row.ID,
		Debit: ledger.Available, Credit: ledger.Locked, AmountMsat: payments.Msat(row.AmountMsat + row.MaxFeeMsat),
	}})
	if errors.Is(err, ledger.ErrInsufficientBalance) {
		return payments.NewProblem(payments.CodeInsufficientBalance, fmt.Sprintf(
			"amount_msat and max_fee_msat need %d msat available.", row.AmountMsat+row.MaxFeeMsat))
	}

	return err
}

// refusal is what speaks against a hold before its row is tried; nil if
// nothing does.
func (p PayoutPolicy) refusal(facts db.JudgeHoldRow, request payments.WithdrawalRequest) *payments.Problem {
	life := bolt11.CheckLife(request.ExpiresAt, facts.Now)
	switch {
	case facts.Duplicate, facts.Stray:
		return duplicatePayment()
	case errors.Is(life, bolt11.ErrExpired):
		return payments.NewProblem(payments.CodeInvoiceExpired,
			fmt.Sprintf("The invoice must live for %s or more.", bolt11.MinLife))
	case life != nil:
		return payments.NewProblem(payments.CodeInvoiceInvalid,
			fmt.Sprintf("The invoice may live for %s at most.", bolt11.MaxLife))
	case facts.Frozen:
		return payments.NewProblem(payments.CodePayoutsFrozen, "The operator has stopped payouts for now. Nothing was locked.")
	}
	if over := p.exceeded(facts, request); over != "" {
		return payments.NewProblem(payments.CodeLimitExceeded, over)
	}

	return nil
}

func duplicatePayment() *payments.Problem {
	return payments.NewProblem(payments.CodeDuplicatePayment,
		"An invoice is paid once. It can be tried again after the withdrawal of it has failed.")
}

// with is the policy for a workspace that has limits of its own, by the names of
// their settings.
func (p PayoutPolicy) with(own map[string]int64) PayoutPolicy {
	for name, value := range own {
		switch name {
		case store.LimitMaxAmountMsat:
			p.MaxAmountMsat = payments.Msat(value)
		case store.LimitWorkspaceDailyMsat:
			p.WorkspaceDailyMsat = payments.Msat(value)
		case store.LimitWorkspaceOpen:
			p.WorkspaceOpen = int(value)
		case store.LimitWorkspaceOpenMsat:
			p.WorkspaceOpenMsat = payments.Msat(value)
		}
	}

	return p
}

// exceeded names the limit that a withdrawal would break; "" if it keeps all.
// A book transfer needs nothing of the node.
func (p PayoutPolicy) exceeded(facts db.JudgeHoldRow, request payments.WithdrawalRequest) string {
	amount, locked := int64(request.AmountMsat), int64(request.AmountMsat+request.MaxFeeMsat)
	type bound struct {
		limit, would int64
		what         string
	}
	bounds := []bound{
		{int64(p.MaxAmountMsat), amount, "the amount of one withdrawal (msat)"},
		{int64(p.WorkspaceOpen), facts.WorkspaceOpen + 1, "the number of a workspace's open withdrawals"},
		{int64(p.WorkspaceOpenMsat), facts.WorkspaceOpenMsat + locked, "the sum of a workspace's open withdrawals (msat)"},
		{int64(p.WorkspaceDailyMsat), facts.WorkspaceDailyMsat + amount, "the sum of a workspace's withdrawals in 24 hours (msat)"},
	}
	if !facts.OwnNode {
		bounds = append(bounds,
			bound{int64(p.NodeOpen), facts.NodeOpen + 1, "the number of all open withdrawals"},
			bound{int64(p.NodeOpenMsat), facts.NodeOpenMsat + locked, "the sum of all open withdrawals (msat)"},
			bound{int64(p.NodeDailyMsat), facts.NodeDailyMsat + amount, "the sum of all withdrawals in 24 hours (msat)"})
	}
	for _, one := range bounds {
		if one.limit > 0 && one.would > one.limit {
			return fmt.Sprintf("The limit on %s is %d.", one.what, one.limit)
		}
	}

	return ""
}

// claimCharge takes the charge for this withdrawal: an invoice of our own node
// is paid by the book, from the charge that it belongs to, or not at all.
func (h *hold) claimCharge(ctx context.Context, q *db.Queries) error {
	claimed, err := q.ClaimCharge(ctx, db.ClaimChargeParams{
		WithdrawalID: h.claim.ResourceID, PaymentHash: h.hash, Bolt11: h.request.Bolt11,
		Destination: h.request.Destination,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return payments.NewProblem(payments.CodeInvoiceInvalid,
			"The invoice is of this service's own node, and not that of an open charge in this environment.")
	}
	if err != nil {
		return fmt.Errorf("claim the charge of %s: %w", h.claim.ResourceID, err)
	}
	if claimed.AmountMsat != int64(h.request.AmountMsat) {
		return payments.NewProblem(payments.CodeInvoiceInvalid, "The invoice is not the charge's.")
	}
	h.chargeID, h.node = &claimed.ID, claimed.Node

	return nil
}

func (h *hold) row(kind payments.WithdrawalKind) db.InsertWithdrawalParams {
	metadata := []byte("{}")
	if h.request.Metadata != nil {
		metadata, _ = json.Marshal(h.request.Metadata) //nolint:errchkjson // A map of strings always renders.
	}

	return db.InsertWithdrawalParams{
		ID: h.claim.ResourceID, WorkspaceID: h.claim.WorkspaceID, Node: h.node, Kind: string(kind),
		PaymentHash: h.hash, Destination: h.request.Destination, Bolt11: h.request.Bolt11,
		Amountless: h.request.Amountless, ChargeID: h.chargeID,
		AmountMsat: int64(h.request.AmountMsat), MaxFeeMsat: int64(h.request.MaxFeeMsat),
		Description: h.request.Description, Metadata: metadata, ExternalID: h.request.ExternalID,
		InvoiceExpiresAt: h.request.ExpiresAt,
	}
}
