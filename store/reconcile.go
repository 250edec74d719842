package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

const (
	// findingLimit bounds what one check tells; what has more is broken beyond
	// single rows.
	findingLimit = 1000
	// checkTimeout replaces the pool's statement timeout: the checks read whole
	// tables, and wait for nobody.
	checkTimeout = 10 * time.Minute
	// actLimit bounds the findings that are acted on at once.
	actLimit = 1000
)

// The kinds of findings of each check.
var (
	chargeKinds = []string{
		"credit_without_charge", "double_credit", "missing_credit", "credit_of_unpaid", "wrong_credit", "underpaid",
		"paid_without_receipt", "receipt_amount", "paid_by_nothing", "claim_left",
	}
	receiptKinds    = []string{"orphan_receipt", "receipt_of_unpaid", "suspense_of_charge", "receipt_waits"}
	withdrawalKinds = []string{
		"transfer_without_withdrawal", "wrong_lock", "other_workspace", "withdrawal_status", "stuck_lock",
		"withdrawal_amount", "wrong_fee",
	}
	lockKinds  = []string{"locked_drift"}
	lossKinds  = []string{"loss_not_booked", "loss_unexplained", "assignment_not_booked", "assignment_unexplained"}
	eventKinds = []string{"lost_event", "event_gap", "wrong_event"}
)

// FindingKinds are all kinds that the books are checked for.
func FindingKinds() []string {
	return slices.Concat(ledger.FindingKinds(), chargeKinds, receiptKinds, withdrawalKinds, lockKinds, lossKinds, eventKinds)
}

// BookReport is what the books of an environment say of themselves.
type BookReport struct {
	Checks []ledger.Check
	Totals ledger.Totals
	// SuspenseMsat is what the node received for nobody, UncreditedMsat what no
	// balance says yet.
	SuspenseReceipts int64
	SuspenseMsat     payments.Msat
	UncreditedMsat   payments.Msat
}

// LiabilitiesMsat is what the operator owes the workspaces; suspense is a line of
// its own.
func (r *BookReport) LiabilitiesMsat() payments.Msat {
	return r.Totals.AvailableMsat + r.Totals.LockedMsat + r.UncreditedMsat
}

// CheckBooks reads all books at one instant and compares them with each other:
// I1 to I6, I8 and the events. Bodies of events are read from since on.
func (s *Store) CheckBooks(ctx context.Context, since time.Time) (report BookReport, err error) {
	err = s.Snapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", checkTimeout.Milliseconds())); err != nil {
			return fmt.Errorf("allow the checks their time: %w", err)
		}
		if report.Checks, report.Totals, err = ledger.Reconcile(ctx, tx, findingLimit); err != nil {
			return err
		}
		if err := report.checkRows(ctx, q, since); err != nil {
			return err
		}
		suspense, err := q.Suspense(ctx)
		if err != nil {
			return fmt.Errorf("add up suspense: %w", err)
		}
		uncredited, err := q.Uncredited(ctx)
		if err != nil {
			return fmt.Errorf("add up uncredited receipts: %w", err)
		}
		report.SuspenseReceipts, report.SuspenseMsat = suspense.Receipts, payments.Msat(suspense.AmountMsat)
		report.UncreditedMsat = payments.Msat(uncredited)

		return nil
	})

	return report, err
}

// checkRows runs the checks of what is not the ledger.
func (r *BookReport) checkRows(ctx context.Context, q *db.Queries, since time.Time) error {
	charges, err := check(ctx, q.CheckCharges, func(row db.CheckChargesRow) ledger.Finding { return ledger.Finding(row) }, chargeKinds)
	receipts, receiptsErr := check(ctx, q.CheckReceipts,
		func(row db.CheckReceiptsRow) ledger.Finding { return ledger.Finding(row) }, receiptKinds)
	withdrawals, withdrawalsErr := check(ctx, q.CheckWithdrawals,
		func(row db.CheckWithdrawalsRow) ledger.Finding { return ledger.Finding(row) }, withdrawalKinds)
	locks, locksErr := check(ctx, q.CheckLocks, func(row db.CheckLocksRow) ledger.Finding { return ledger.Finding(row) }, lockKinds)
	losses, lossesErr := check(ctx, q.CheckLosses, func(row db.CheckLossesRow) ledger.Finding { return ledger.Finding(row) }, lossKinds)
	events, eventsErr := check(ctx, func(ctx context.Context, limit int32) ([]db.CheckEventsRow, error) {
		return q.CheckEvents(ctx, db.CheckEventsParams{Since: since, MaxRows: limit})
	}, func(row db.CheckEventsRow) ledger.Finding { return ledger.Finding(row) }, eventKinds)
	if !since.IsZero() {
		// What bodies say that were not read is not known to be right now.
		events.Kinds = slices.DeleteFunc(slices.Clone(events.Kinds), func(kind string) bool { return kind == "wrong_event" })
	}
	r.Checks = append(r.Checks, charges, receipts, withdrawals, locks, losses, events)

	return errors.Join(err, receiptsErr, withdrawalsErr, locksErr, lossesErr, eventsErr)
}

// check runs one query of findings.
func check[Row any](ctx context.Context, query func(context.Context, int32) ([]Row, error),
	finding func(Row) ledger.Finding, kinds []string,
) (ledger.Check, error) {
	rows, err := query(ctx, findingLimit)
	if err != nil {
		return ledger.Check{}, fmt.Errorf("check for %s: %w", kinds[0], err)
	}
	found := make([]ledger.Finding, len(rows))
	for i, row := range rows {
		found[i] = finding(row)
	}

	return ledger.NewCheck(found, findingLimit, kinds), nil
}

// Recorded counts what RecordFindings did.
type Recorded struct {
	// Seen are the findings that are there, New those of them that were not
	// open before, Resolved those that are gone.
	Seen, New, Resolved int
}

// RecordFindings writes what checks saw now, and resolves what they saw before
// and do not see any more. node is the one that was compared, empty for the
// books alone.
func (s *Store) RecordFindings(ctx context.Context, node string, checks []ledger.Check) (recorded Recorded, err error) {
	params := db.RecordFindingsParams{Node: node}
	var kinds []string
	for _, check := range checks {
		kinds = append(kinds, check.Kinds...)
		for _, f := range check.Findings {
			params.Invariants = append(params.Invariants, f.Invariant)
			params.Kinds = append(params.Kinds, f.Kind)
			params.Subjects = append(params.Subjects, f.Subject)
			params.WorkspaceIds = append(params.WorkspaceIds, f.WorkspaceID)
			params.Details = append(params.Details, f.Detail)
		}
	}
	err = s.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		rows, err := q.RecordFindings(ctx, params)
		if err != nil {
			return fmt.Errorf("record findings: %w", err)
		}
		recorded.Seen = len(rows)
		for _, row := range rows {
			if row.IsNew {
				recorded.New++
			}
		}
		resolved, err := q.ResolveFindings(ctx, db.ResolveFindingsParams{Node: node, Kinds: kinds})
		if err != nil {
			return fmt.Errorf("resolve findings: %w", err)
		}
		recorded.Resolved = int(resolved)

		return nil
	})

	return recorded, err
}

// reconciler signs the freezes that findings cause.
const reconciler = "reconciliation"

// freezing are the invariants whose break stops payouts.
var freezing = []string{"I1", "I2", "I3", "I4", "I5", "I6", "chain"}

// Acted is what ActOnFindings did for a set of findings.
type Acted struct {
	Findings []db.Finding
	// Scope is what payouts were frozen of; empty where none were.
	Scope string
	// Already says that the scope was frozen before.
	Already bool
}

// ActOnFindings returns the findings that nobody was told of yet, and freezes
// payouts for those that break the books: the workspace's, or all where one is of
// no single workspace. Each finding is acted on once, in the transaction of its
// freeze: an operator's thaw holds until something new is found.
func (s *Store) ActOnFindings(ctx context.Context) ([]Acted, error) {
	rows, err := s.FindingsToAct(ctx, actLimit)
	if err != nil {
		return nil, fmt.Errorf("read findings to act on: %w", err)
	}
	byScope := map[string][]db.Finding{}
	for _, row := range rows {
		scope := s.freezeScope(ctx, row)
		byScope[scope] = append(byScope[scope], row)
	}
	var acted []Acted
	for _, scope := range slices.Sorted(maps.Keys(byScope)) {
		one := Acted{Findings: byScope[scope], Scope: scope}
		var ids []int64
		for _, row := range one.Findings {
			ids = append(ids, row.ID)
		}
		if scope == "" {
			err = s.MarkActed(ctx, ids)
		} else {
			var before *db.PayoutFreeze
			before, err = s.freezePayouts(ctx, scope, Operator{Name: reconciler, Reason: freezeReason(one.Findings)},
				payments.FreezeByReconciliation, func(q *db.Queries) error { return q.MarkActed(ctx, ids) })
			one.Already = before != nil
		}
		if err != nil {
			return acted, fmt.Errorf("act on findings of %q: %w", scope, err)
		}
		acted = append(acted, one)
	}

	return acted, nil
}

// freezeScope is what a finding freezes; empty for nothing.
func (s *Store) freezeScope(ctx context.Context, row db.Finding) string {
	if !slices.Contains(freezing, row.Invariant) {
		return ""
	}
	if row.WorkspaceID == nil {
		return FreezeAll
	}
	// A workspace that is not there cannot be frozen.
	if _, err := s.GetWorkspace(ctx, *row.WorkspaceID); err != nil {
		return FreezeAll
	}

	return *row.WorkspaceID
}

// freezeReason names the first finding and counts the others.
func freezeReason(rows []db.Finding) string {
	first := rows[0]
	reason := fmt.Sprintf("finding %d: %s %s of %s", first.ID, first.Invariant, first.Kind, first.Subject)
	if len(rows) > 1 {
		reason += fmt.Sprintf(", and %d more", len(rows)-1)
	}

	return reason
}

// PutBackReceipts writes, as credited, the receipts of charges whose credit from
// this node is in the books already, and says which those are. Crediting them
// again would double them.
func (s *Store) PutBackReceipts(ctx context.Context, node string, missing []Settlement) (map[[32]byte]bool, error) {
	params := db.RestoreReceiptsParams{Node: node}
	for _, one := range missing {
		params.PaymentHashes = append(params.PaymentHashes, one.PaymentHash[:])
		params.AmtsPaidMsat = append(params.AmtsPaidMsat, int64(one.AmtPaidMsat))
		params.SettleIndexes = append(params.SettleIndexes, int64(one.SettleIndex))
		params.SettledAts = append(params.SettledAts, one.SettledAt)
	}
	rows, err := s.RestoreReceipts(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("put receipts back: %w", err)
	}
	restored := map[[32]byte]bool{}
	for _, hash := range rows {
		restored[[32]byte(hash)] = true
	}

	return restored, nil
}

// PayoutDeliveries are the deliveries of a scope's freeze or thaw that nobody has
// tried yet.
func (s *Store) PayoutDeliveries(ctx context.Context, scope string) ([]string, error) {
	ids := []string{scope}
	if scope == FreezeAll || strings.HasPrefix(scope, nodeScope) {
		var err error
		if ids, err = s.AllWorkspaces(ctx); err != nil {
			return nil, fmt.Errorf("read the workspaces: %w", err)
		}
	}
	deliveries, err := s.UntriedPayoutDeliveries(ctx, db.UntriedPayoutDeliveriesParams{WorkspaceIds: ids, MaxRows: actLimit})
	if err != nil {
		return nil, fmt.Errorf("read deliveries of payouts: %w", err)
	}

	return deliveries, nil
}
