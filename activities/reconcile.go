package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// Reconciliation are the activities that compare the books with themselves and
// with the node: invariants I1 to I8 of docs/solvency.md.
type Reconciliation struct {
	Nodes  *Nodes
	Policy ReconcilePolicy
}

// ReconcilePolicy has the fields of config.Reconcile, so one converts to the
// other.
type ReconcilePolicy struct {
	EveryMinutes          int
	FullEveryHours        int
	SolvencyToleranceMsat payments.Msat
}

const (
	// alertsAtOnce bounds the alerts of one reconciliation: what breaks many
	// rows is one fault.
	alertsAtOnce = 20
	// sinceMargin is how far a check of new events goes back behind the last.
	sinceMargin = time.Hour
)

// full says whether this reconciliation reads everything.
func (a *Reconciliation) full(in workflows.ReconcileInput, state db.GetReconciliationRow) bool {
	every := time.Duration(a.Policy.FullEveryHours) * time.Hour

	return in.Full || state.LastFullAt == nil || state.Now.Sub(*state.LastFullAt) >= every
}

func (a *Reconciliation) state(ctx context.Context, in workflows.ReconcileInput) (db.GetReconciliationRow, error) {
	if err := a.Nodes.serves(workflows.NodeInput{Node: in.Node}); err != nil {
		return db.GetReconciliationRow{}, err
	}
	state, err := a.Nodes.Store.GetReconciliation(ctx, in.Node)
	if err != nil {
		return state, fmt.Errorf("read how far reconciliation has come: %w", err)
	}

	return state, nil
}

// ReconcileBooks checks the books at one instant and writes down what is
// otherwise than it must be.
func (a *Reconciliation) ReconcileBooks(ctx context.Context, in workflows.ReconcileInput) (done workflows.ReconcileBooks, err error) {
	state, err := a.state(ctx, in)
	if err != nil {
		return done, err
	}
	var since time.Time
	if !a.full(in, state) && state.LastSuccessAt != nil {
		since = state.LastSuccessAt.Add(-sinceMargin)
	}
	err = a.Nodes.beating(ctx, "checking the books", func(ctx context.Context, _ *atomic.Value) error {
		report, err := a.Nodes.Store.CheckBooks(ctx, since)
		if err != nil {
			return err
		}
		recorded, err := a.Nodes.Store.RecordFindings(ctx, "", report.Checks)
		if err != nil {
			return err
		}
		a.Nodes.Metrics.reconcile.liabilities.Set(float64(report.LiabilitiesMsat()))
		a.Nodes.Metrics.reconcile.drift.Set(float64(report.Totals.DriftMsat()))
		done = workflows.ReconcileBooks{
			Seen: recorded.Seen, New: recorded.New, Resolved: recorded.Resolved, LiabilitiesMsat: int64(report.LiabilitiesMsat()),
		}

		return nil
	})

	return done, err
}

// FinishReconcile acts on what was found, once for each finding: payouts freeze,
// alerts are raised, the workspace is told. Then it writes the report.
func (a *Reconciliation) FinishReconcile(ctx context.Context, outcome workflows.ReconcileOutcome) (workflows.ReconcileReport, error) {
	report := workflows.ReconcileReport{
		New: outcome.Books.New, Resolved: outcome.Books.Resolved, TookMS: outcome.TookMS, NodeError: outcome.NodeError,
		Frozen: []string{}, NextIn: time.Duration(a.Policy.EveryMinutes) * time.Minute,
	}
	if compared := outcome.Compared; compared != nil {
		report.Full, report.Healed, report.Note = compared.Full, compared.Healed, compared.Note
		report.Invoices, report.Payments = compared.Invoices, compared.Payments
		report.New += compared.New
		report.Resolved += compared.Resolved
	}
	acted, err := a.Nodes.Store.ActOnFindings(ctx)
	if err != nil {
		return report, err
	}
	a.tell(ctx, acted, &report)
	counts, err := a.Nodes.Store.CountOpenFindings(ctx)
	if err != nil {
		return report, fmt.Errorf("count findings: %w", err)
	}
	for _, row := range counts {
		report.Findings += int(row.Findings)
	}
	if report.At, err = a.Nodes.Store.Now(ctx); err != nil {
		return report, fmt.Errorf("read the time: %w", err)
	}
	if outcome.Compared != nil {
		if err := a.finish(ctx, outcome.Node, report); err != nil {
			return report, err
		}
	}
	a.Nodes.Metrics.reconcile.duration.Set(float64(outcome.TookMS) / 1000)

	return report, a.Nodes.countFindings(ctx)
}

func (a *Reconciliation) finish(ctx context.Context, node string, report workflows.ReconcileReport) error {
	encoded, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	if err := a.Nodes.Store.FinishReconciliation(ctx, db.FinishReconciliationParams{
		Node: node, WasFull: report.Full, Report: encoded,
	}); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}

	return nil
}

// tell raises alerts for findings that are new, and starts the deliveries of the
// freezes that they caused.
func (a *Reconciliation) tell(ctx context.Context, acted []store.Acted, report *workflows.ReconcileReport) {
	told := 0
	for _, one := range acted {
		if one.Scope != "" && !one.Already {
			report.Frozen = append(report.Frozen, one.Scope)
			a.deliver(ctx, one.Scope)
		}
		for _, f := range one.Findings {
			if told++; told > alertsAtOnce {
				continue
			}
			a.Nodes.Alerts.Raise(ctx, AlertInvariantBroken, "reconciliation found what must not be", "finding", f.ID,
				"invariant", f.Invariant, "kind", f.Kind, "subject", f.Subject, "frozen", one.Scope)
		}
	}
	if told > alertsAtOnce {
		a.Nodes.Log.ErrorContext(ctx, "there are more new findings: lntpay ops findings", "new", told)
	}
}

// deliver starts the deliveries of a freeze. What is not started here the sweeper
// starts.
func (a *Reconciliation) deliver(ctx context.Context, scope string) {
	ids, err := a.Nodes.Store.PayoutDeliveries(ctx, scope)
	if err != nil {
		a.Nodes.Log.WarnContext(ctx, "deliveries of a freeze are left to the sweeper", "error", err)

		return
	}
	for _, id := range ids {
		callCtx, cancel := context.WithTimeout(ctx, nudgeTimeout)
		if err := a.Nodes.Nudger.Deliver(callCtx, id); err != nil {
			a.Nodes.Log.WarnContext(ctx, "delivery not started, will be repeated", "delivery", id, "error", err)
		}
		cancel()
	}
}
