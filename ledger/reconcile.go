package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
	"github.com/lntpay/lntpay/payments"
)

// Finding is something that is otherwise than it must be.
type Finding struct {
	// Invariant is I1 to I8 of docs/solvency.md, "chain", or "waits" for what is
	// late and breaks nothing yet.
	Invariant string
	// Kind names what is wrong, Subject the row that it is wrong with.
	Kind    string
	Subject string
	// WorkspaceID is empty where it is of no single workspace.
	WorkspaceID string
	// Detail says how, in numbers; it holds no secret.
	Detail json.RawMessage
}

// Totals are all books of an environment, added up.
type Totals struct {
	// Available and Locked are by the balance rows.
	AvailableMsat payments.Msat
	LockedMsat    payments.Msat
	// The system accounts are by the transfers, credits less debits: lightning
	// clearing is below zero by what the node holds for the workspaces.
	LightningClearingMsat payments.Msat
	InternalClearingMsat  payments.Msat
	RoutingFeeMsat        payments.Msat
	OperatorLossMsat      payments.Msat
	OtherMsat             payments.Msat
}

// DriftMsat is what the books do not add up to zero by.
func (t Totals) DriftMsat() payments.Msat {
	return t.AvailableMsat + t.LockedMsat + t.LightningClearingMsat + t.InternalClearingMsat +
		t.RoutingFeeMsat + t.OperatorLossMsat + t.OtherMsat
}

// The kinds of findings of each check.
var (
	transferKinds = []string{"transfer_gap", "transfer_altered", "transfer_unknown"}
	balanceKinds  = []string{"balance_negative", "balance_drift"}
	totalKinds    = []string{"books_unbalanced", "internal_clearing_open"}
	chainKinds    = []string{"chain_broken"}
)

// FindingKinds are all kinds that the books are checked for.
func FindingKinds() []string {
	return slices.Concat(transferKinds, balanceKinds, totalKinds, chainKinds)
}

// Check is what one check came to.
type Check struct {
	Findings []Finding
	// Kinds are those that it looked for everywhere: what it did not find is
	// not there. Empty when it found more than it could tell.
	Kinds []string
}

// NewCheck is the outcome of a check for kinds whose list is cut at limit.
func NewCheck(findings []Finding, limit int32, kinds []string) Check {
	if len(findings) >= int(limit) {
		kinds = nil
	}

	return Check{Findings: findings, Kinds: kinds}
}

// Reconcile checks the books against themselves, I1, I2, I6 and the hash chain, and
// adds them up. It is exact inside a REPEATABLE READ transaction. Each check tells at most
// limit findings.
func Reconcile(ctx context.Context, db ledgerdb.DBTX, limit int32) ([]Check, Totals, error) {
	q := ledgerdb.New(db)
	transfers, err := q.CheckTransfers(ctx, limit)
	if err != nil {
		return nil, Totals{}, fmt.Errorf("check transfers: %w", err)
	}
	var found []Finding
	for _, row := range transfers {
		found = append(found, Finding(row))
	}
	checks := []Check{NewCheck(found, limit, transferKinds)}
	balances, err := q.CheckBalances(ctx, limit)
	if err != nil {
		return nil, Totals{}, fmt.Errorf("check balances: %w", err)
	}
	found = nil
	for _, row := range balances {
		found = append(found, Finding(row))
	}
	checks = append(checks, NewCheck(found, limit, balanceKinds))
	row, err := q.BooksTotal(ctx)
	if err != nil {
		return nil, Totals{}, fmt.Errorf("add up the books: %w", err)
	}
	totals := Totals{
		AvailableMsat: payments.Msat(row.AvailableMsat), LockedMsat: payments.Msat(row.LockedMsat),
		LightningClearingMsat: payments.Msat(row.LightningClearingMsat),
		InternalClearingMsat:  payments.Msat(row.InternalClearingMsat),
		RoutingFeeMsat:        payments.Msat(row.RoutingFeeMsat), OperatorLossMsat: payments.Msat(row.OperatorLossMsat),
		OtherMsat: payments.Msat(row.OtherMsat),
	}
	if found, err = checkTotals(totals); err != nil {
		return nil, Totals{}, err
	}
	checks = append(checks, NewCheck(found, limit, totalKinds))
	chain, err := checkChain(ctx, db)

	return append(checks, NewCheck(chain, limit, chainKinds)), totals, err
}

// checkChain asks whether the transfers are what was sealed. One finding for each
// place.
func checkChain(ctx context.Context, db ledgerdb.DBTX) ([]Finding, error) {
	breaks, err := VerifyChain(ctx, db, "")
	if err != nil {
		return nil, fmt.Errorf("verify the chain: %w", err)
	}
	var found []Finding
	for _, one := range breaks {
		detail, err := json.Marshal(map[string]string{"what": one.What})
		if err != nil {
			return nil, fmt.Errorf("render a break of the chain: %w", err)
		}
		subject := fmt.Sprintf("%s/%d", one.WorkspaceID, one.Sequence)
		if one.WorkspaceID == "" {
			subject = "heads"
		}
		found = append(found, Finding{
			Invariant: "chain", Kind: "chain_broken", Subject: subject, WorkspaceID: one.WorkspaceID, Detail: detail,
		})
	}

	return found, nil
}

// checkTotals is I6.
func checkTotals(totals Totals) ([]Finding, error) {
	detail, err := json.Marshal(map[string]payments.Msat{
		"available_msat": totals.AvailableMsat, "locked_msat": totals.LockedMsat,
		"lightning_clearing_msat": totals.LightningClearingMsat, "internal_clearing_msat": totals.InternalClearingMsat,
		"routing_fee_msat": totals.RoutingFeeMsat, "operator_loss_msat": totals.OperatorLossMsat,
		"other_msat": totals.OtherMsat, "drift_msat": totals.DriftMsat(),
	})
	if err != nil {
		return nil, fmt.Errorf("render the totals: %w", err)
	}
	var found []Finding
	if totals.DriftMsat() != 0 {
		found = append(found, Finding{Invariant: "I6", Kind: "books_unbalanced", Subject: "books", Detail: detail})
	}
	if totals.InternalClearingMsat != 0 {
		found = append(found, Finding{Invariant: "I6", Kind: "internal_clearing_open", Subject: "books", Detail: detail})
	}

	return found, nil
}
