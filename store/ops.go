package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Operator is who acts, and why. Both are written down with what was done, in
// the transaction that does it.
type Operator struct {
	Name   string
	Reason string
}

// Errors of what operators ask for. In all of them nothing was written.
var (
	// ErrAnonymous means that the name or the reason is missing.
	ErrAnonymous = errors.New("store: an operator acts under a name and with a reason")
	// ErrWithdrawalOver means that a withdrawal has succeeded or failed.
	ErrWithdrawalOver = errors.New("store: the withdrawal is over")
	// ErrResolutionOpen means that a command for the withdrawal waits already.
	ErrResolutionOpen = errors.New("store: a command for this withdrawal is not judged yet")
	// ErrStrayClosed means that the payment is explained already.
	ErrStrayClosed = errors.New("store: the payment is not open any more")
	// ErrStrayAmbiguous means that several payments were seen under the index.
	ErrStrayAmbiguous = errors.New("store: several open payments have this index: name the creation time too")
	// ErrStrayOfWithdrawal means that the payment belongs to a voided
	// withdrawal: the worker books it, and nobody else is asked.
	ErrStrayOfWithdrawal = errors.New("store: the payment is of a voided withdrawal, the worker books it when it succeeds")
	// ErrStrayNotSucceeded means that the payment has moved no money yet.
	ErrStrayNotSucceeded = errors.New("store: only a payment that succeeded is booked")
)

const nodeScope = "node/"

// FreezeAll is the scope of a freeze of all payouts of the environment. The
// others are FreezeNode and the id of a workspace.
const FreezeAll = "all"

// FreezeNode is the scope of a freeze of the payouts from a node.
func FreezeNode(name string) string { return nodeScope + name }

// Audited runs fn and writes down who did what, in one transaction. fn returns
// the detail, which must hold no secret.
func (s *Store) Audited(ctx context.Context, by Operator, action, target string,
	fn func(tx pgx.Tx, q *db.Queries) (map[string]any, error),
) error {
	by = Operator{Name: strings.TrimSpace(by.Name), Reason: strings.TrimSpace(by.Reason)}
	if by.Name == "" || by.Reason == "" {
		return ErrAnonymous
	}

	return s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		detail, err := fn(tx, q)
		if err != nil {
			return err
		}
		encoded, err := json.Marshal(detail)
		if err != nil {
			return fmt.Errorf("render the detail of %s: %w", action, err)
		}
		if _, err := q.AddOperatorAction(ctx, db.AddOperatorActionParams{
			Actor: by.Name, Action: action, Target: target, Reason: by.Reason, Detail: encoded,
		}); err != nil {
			return fmt.Errorf("write %s down: %w", action, err)
		}

		return nil
	})
}

// scopeExists is ErrNotFound for a freeze of what is not there: a typing error
// must not look like a freeze.
func scopeExists(ctx context.Context, q *db.Queries, scope string) error {
	if scope == FreezeAll {
		return nil
	}
	var err error
	if name, ok := strings.CutPrefix(scope, nodeScope); ok {
		_, err = q.GetNode(ctx, name)
	} else {
		_, err = q.GetWorkspace(ctx, scope)
	}

	return missing(scope, err)
}

// missing names what was not found.
func missing(what string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}

	return nil
}

// FreezePayouts stops the payouts of a scope. It waits until no send is being
// licensed (15 s at most, then it fails with nothing written): when it returns,
// no send row is added and no book transfer booked any more. Sends that were
// licensed before go on, for 20 s at most; payments that the node has are
// followed and posted all the same. before is the freeze that was there already,
// which stays as it was; nil if there was none.
func (s *Store) FreezePayouts(ctx context.Context, scope string, by Operator) (before *db.PayoutFreeze, err error) {
	return s.freezePayouts(ctx, scope, by, payments.FreezeByOperator, func(*db.Queries) error { return nil })
}

// freezePayouts runs also in the transaction of the freeze, which it does even
// when the scope is frozen already.
func (s *Store) freezePayouts(ctx context.Context, scope string, by Operator, reason payments.FreezeReason,
	also func(q *db.Queries) error,
) (before *db.PayoutFreeze, err error) {
	err = s.Audited(ctx, by, "freeze", scope, func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		if err := scopeExists(ctx, q, scope); err != nil {
			return nil, err
		}
		if err := q.ClosePayoutGate(ctx); err != nil {
			return nil, fmt.Errorf("close the payout gate, which a send or a hold keeps open: %w", err)
		}
		if err := also(q); err != nil {
			return nil, err
		}
		row, err := q.LockFreeze(ctx, scope)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("read the freeze of %s: %w", scope, err)
		}
		if row.Frozen {
			before = &row

			return map[string]any{"frozen_already": true}, nil
		}
		if err := q.FreezePayouts(ctx, db.FreezePayoutsParams{Scope: scope, Reason: by.Reason, Actor: by.Name}); err != nil {
			return nil, fmt.Errorf("freeze %s: %w", scope, err)
		}

		return map[string]any{}, s.tellPayouts(ctx, q, scope, true, reason)
	})

	return before, err
}

// tellPayouts writes the event of a freeze or a thaw for each workspace that it
// is about.
func (s *Store) tellPayouts(ctx context.Context, q *db.Queries, scope string, frozen bool, reason payments.FreezeReason) error {
	ids, public := []string{scope}, payments.ScopeWorkspace
	if scope == FreezeAll || strings.HasPrefix(scope, nodeScope) {
		public = payments.ScopeNode
		if scope == FreezeAll {
			public = payments.ScopeAll
		}
		var err error
		if ids, err = q.AllWorkspaces(ctx); err != nil {
			return fmt.Errorf("read the workspaces: %w", err)
		}
	}
	kind := payments.EventPayoutsThawed
	if frozen {
		kind = payments.EventPayoutsFrozen
	}
	events := make([]NewEvent, len(ids))
	for i, id := range ids {
		events[i] = NewEvent{
			WorkspaceID: id, Type: kind, ResourceID: id,
			Object: payments.PayoutsState{WorkspaceID: id, Scope: public, Frozen: frozen, Reason: reason},
		}
	}

	return s.WriteEvents(ctx, q, events)
}

// Thaw says what ThawPayouts ended.
type Thaw struct {
	// WasFrozen says that there was a freeze.
	WasFrozen bool
	// Regressed says that the node had gone back in time: its sweeper was asked
	// to end that, and clears node.regressed_at within about a minute.
	Regressed bool
}

// ThawPayouts ends the freeze of a scope, and that of a node whose data went
// back in time. Other scopes may still be frozen.
func (s *Store) ThawPayouts(ctx context.Context, scope string, by Operator) (thaw Thaw, err error) {
	err = s.Audited(ctx, by, "thaw", scope, func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		if err := scopeExists(ctx, q, scope); err != nil {
			return nil, err
		}
		thawed, err := q.ThawPayouts(ctx, db.ThawPayoutsParams{Scope: scope, Reason: by.Reason, Actor: by.Name})
		if err != nil {
			return nil, fmt.Errorf("thaw %s: %w", scope, err)
		}
		thaw.WasFrozen = thawed > 0
		if thaw.WasFrozen {
			if err := s.tellPayouts(ctx, q, scope, false, payments.FreezeByOperator); err != nil {
				return nil, err
			}
		}
		if name, ok := strings.CutPrefix(scope, nodeScope); ok {
			asked, err := q.RequestNodeThaw(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("ask for the thaw of node %s: %w", name, err)
			}
			thaw.Regressed = asked > 0
		}

		return map[string]any{"was_frozen": thaw.WasFrozen, "was_regressed": thaw.Regressed}, nil
	})

	return thaw, err
}

// Resolutions that an operator may ask for.
const (
	ResolvePost  = "post"
	ResolveVoid  = "void"
	ResolveRetry = "retry"
)

// AskToResolve writes what an operator wants done to a withdrawal. The worker
// judges it by the node and the row, when it is nudged. ErrWithdrawalOver,
// ErrResolutionOpen and ErrNotFound say that nothing was written.
func (s *Store) AskToResolve(ctx context.Context, id, action string, by Operator) (command db.WithdrawalResolution, err error) {
	err = s.Audited(ctx, by, "resolve", id, func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		// Locked, so that the row is not over by the time this commits.
		row, err := q.LockWithdrawal(ctx, id)
		if err := missing(id, err); err != nil {
			return nil, err
		}
		if payments.WithdrawalStatus(row.Status).Closed() {
			return nil, fmt.Errorf("%s has %s: %w", id, row.Status, ErrWithdrawalOver)
		}
		command, err = q.AddResolution(ctx, db.AddResolutionParams{
			WithdrawalID: id, Action: action, Actor: strings.TrimSpace(by.Name), Reason: strings.TrimSpace(by.Reason),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("%s: %w", id, ErrResolutionOpen)
		}
		if err != nil {
			return nil, fmt.Errorf("write the command for %s: %w", id, err)
		}
		detail := map[string]any{"action": action, "resolution": command.ID, "status": row.Status, "sends": row.Sends}
		if row.ReviewReason != nil {
			detail["review_reason"] = *row.ReviewReason
		}

		return detail, nil
	})

	return command, err
}

// JudgedResolution reads what came of a command. One whose withdrawal ended by
// itself first is refused here: no run comes back for a withdrawal that is over.
func (s *Store) JudgedResolution(ctx context.Context, id int64) (db.LookAtResolutionRow, error) {
	row, err := s.LookAtResolution(ctx, id)
	if err != nil {
		return row, fmt.Errorf("read resolution %d: %w", id, err)
	}
	if row.WithdrawalResolution.Outcome != nil || !payments.WithdrawalStatus(row.Status).Closed() {
		return row, nil
	}
	if _, err := s.CloseResolution(ctx, db.CloseResolutionParams{
		ID: id, Outcome: "refused", Detail: "the withdrawal is over: " + row.Status,
	}); err != nil {
		return row, fmt.Errorf("refuse resolution %d: %w", id, err)
	}
	if row, err = s.LookAtResolution(ctx, id); err != nil {
		return row, fmt.Errorf("read resolution %d: %w", id, err)
	}

	return row, nil
}

// StrayRef names a payment of a node.
type StrayRef struct {
	Node  string
	Index int64
	// CreatedNS tells payments of one index apart, which a node that went back
	// in time gave out twice; 0 where there is one.
	CreatedNS int64
}

func (r StrayRef) String() string { return fmt.Sprintf("stray/%s/%d", r.Node, r.Index) }

// LeaveStrayToOwner marks a payment that no withdrawal explains as the node
// owner's own, in flight too: it freezes nothing any more and is in nobody's
// books.
func (s *Store) LeaveStrayToOwner(ctx context.Context, ref StrayRef, by Operator) (stray db.StrayPayment, err error) {
	err = s.Audited(ctx, by, "stray_owner", ref.String(), func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		if stray, _, err = lockStray(ctx, q, ref); err != nil {
			return nil, err
		}

		return strayDetail(stray), closeStray(ctx, q, stray, "owner")
	})

	return stray, err
}

// BookStray books a payment that no withdrawal explains, amount and fee, as the
// operator's loss into the books of a workspace, whose balance it does not
// touch. Only one that succeeded may be booked.
func (s *Store) BookStray(ctx context.Context, ref StrayRef, workspaceID string, by Operator,
) (stray db.StrayPayment, transfer ledger.Transfer, err error) {
	err = s.Audited(ctx, by, "stray_book", ref.String(), func(tx pgx.Tx, q *db.Queries) (map[string]any, error) {
		var bookedBefore bool
		if stray, bookedBefore, err = lockStray(ctx, q, ref); err != nil {
			return nil, err
		}
		if stray.Status != "succeeded" {
			return nil, fmt.Errorf("%s is %s: %w", ref, stray.Status, ErrStrayNotSucceeded)
		}
		if err := closeStray(ctx, q, stray, "booked"); err != nil {
			return nil, err
		}
		entry := ledger.Entry{
			WorkspaceID: workspaceID, Kind: ledger.KindLatePayment, Ref: ref.String(),
			Debit: ledger.OperatorLoss, Credit: ledger.LightningClearing,
			AmountMsat: payments.Msat(stray.AmountMsat + stray.FeeMsat),
		}
		if bookedBefore {
			// A kind happens once per ref.
			entry.Ref = fmt.Sprintf("%s/%d", ref, stray.CreatedNs)
		}
		transfers, err := ledger.Post(ctx, tx, []ledger.Entry{entry})
		if errors.Is(err, ledger.ErrUnknownWorkspace) {
			return nil, fmt.Errorf("%s: %w", workspaceID, ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		transfer = transfers[0]
		detail := strayDetail(stray)
		detail["workspace_id"], detail["transfer"] = workspaceID, transfer.ID

		return detail, nil
	})

	return stray, transfer, err
}

// lockStray finds the one open payment of a reference that no withdrawal
// explains. bookedBefore says that another payment of its index was booked.
func lockStray(ctx context.Context, q *db.Queries, ref StrayRef) (stray db.StrayPayment, bookedBefore bool, err error) {
	params := db.LockStraysParams{Node: ref.Node, PaymentIndex: ref.Index}
	if ref.CreatedNS != 0 {
		params.CreatedNs = &ref.CreatedNS
	}
	rows, err := q.LockStrays(ctx, params)
	if err != nil {
		return stray, false, fmt.Errorf("read %s: %w", ref, err)
	}
	if len(rows) == 0 {
		return stray, false, fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	open := 0
	for _, row := range rows {
		if row.StrayPayment.State == "open" {
			open++
			stray, bookedBefore = row.StrayPayment, row.Repeated
		}
	}
	switch {
	case open == 0:
		return stray, false, fmt.Errorf("%s is %s: %w", ref, rows[len(rows)-1].StrayPayment.State, ErrStrayClosed)
	case open > 1:
		return stray, false, fmt.Errorf("%s: %w", ref, ErrStrayAmbiguous)
	case stray.WithdrawalID != nil:
		return stray, false, fmt.Errorf("%s, %s: %w", ref, *stray.WithdrawalID, ErrStrayOfWithdrawal)
	}

	return stray, bookedBefore, nil
}

func closeStray(ctx context.Context, q *db.Queries, stray db.StrayPayment, state string) error {
	n, err := q.CloseStray(ctx, db.CloseStrayParams{
		State: state, Node: stray.Node, PaymentIndex: stray.PaymentIndex, CreatedNs: stray.CreatedNs,
	})
	if err != nil {
		return fmt.Errorf("close a stray payment: %w", err)
	}
	if n == 0 {
		return ErrStrayClosed
	}

	return nil
}

func strayDetail(stray db.StrayPayment) map[string]any {
	return map[string]any{
		"payment_hash": hex.EncodeToString(stray.PaymentHash), "created_ns": stray.CreatedNs, "status": stray.Status,
		"amount_msat": stray.AmountMsat, "fee_msat": stray.FeeMsat,
	}
}
