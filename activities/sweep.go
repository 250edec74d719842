package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// sweepLimit bounds what one sweep starts; the next minute has the rest.
	sweepLimit = 500
	// receiptSweepAge is when a receipt without credit is late.
	receiptSweepAge = 10 * time.Second
	// listPage is the size of a page of the node's list.
	listPage = 500
	// sweepAtOnce bounds the deliveries that are started at once: few, so that
	// Temporal has room for payments.
	sweepAtOnce = 4
	// The parts of a sweep that wait for others each have their time, less
	// than the activity's in all.
	deliveriesTimeout = 45 * time.Second
	nudgesTimeout     = time.Minute
	indexesTimeout    = 10 * time.Second
	regressedTimeout  = 45 * time.Second
)

// SweepRows comes back for every row whose next_check_at is past: rule R6.
// Deliveries come first: they need neither the node nor a live worker. Only
// rows that cannot be read fail the sweep, and none of them hides the others;
// what is wrong with the node or one delivery is logged, for to repeat the
// sweep would not help.
func (a *Nodes) SweepRows(ctx context.Context) error {
	deliveriesErr := a.sweepDeliveries(ctx)
	receipts, receiptsErr := a.overdueReceipts(ctx)
	charges, chargesErr := a.overdueCharges(ctx)
	withdrawals, withdrawalsErr := a.overdueWithdrawals(ctx)
	a.nudgeAll(ctx, append(receipts, charges...), withdrawals)
	if err := a.forgetFailed(ctx); err != nil {
		a.Log.WarnContext(ctx, "stray payments are not looked at", "node", a.Node.Name(), "error", err)
	}
	if err := a.checkIndexes(ctx); err != nil {
		a.Log.WarnContext(ctx, "the node's indexes are not checked", "node", a.Node.Name(), "error", err)
	}
	if err := a.sweepRegressed(ctx); err != nil {
		a.Log.WarnContext(ctx, "the list of a node back in time is not swept", "node", a.Node.Name(), "error", err)
	}
	if err := a.count(ctx); err != nil {
		a.Log.WarnContext(ctx, "what is open is not counted", "error", err)
	}
	if err := a.countFindings(ctx); err != nil {
		a.Log.WarnContext(ctx, "findings are not counted", "error", err)
	}
	if err := a.seal(ctx); err != nil {
		a.Log.WarnContext(ctx, "transfers are not sealed, will be repeated", "error", err)
	}

	return errors.Join(deliveriesErr, receiptsErr, chargesErr, withdrawalsErr)
}

func (a *Nodes) nudgeAll(ctx context.Context, refs []workflows.ChargeRef, withdrawals []workflows.WithdrawalRef) {
	ctx, cancel := context.WithTimeout(ctx, nudgesTimeout)
	defer cancel()
	nudges := newNudges(a.Nudger, a.Log)
	nudges.send(ctx, refs)
	for _, ref := range withdrawals {
		nudges.withdrawal(ctx, ref)
	}
	nudges.wait()
}

func (a *Nodes) overdueWithdrawals(ctx context.Context) ([]workflows.WithdrawalRef, error) {
	rows, err := a.Store.SweepWithdrawals(ctx, sweepLimit)
	if err != nil {
		return nil, fmt.Errorf("sweep withdrawals: %w", err)
	}
	a.Metrics.swept.WithLabelValues("withdrawal").Add(float64(len(rows)))
	var refs []workflows.WithdrawalRef
	for _, row := range rows {
		refs = append(refs, withdrawalRef(row.ID, row.WorkspaceID, row.AmountMsat))
	}
	// What is under review is not overdue, but its command may be.
	commands, err := a.Store.UnjudgedResolutions(ctx, sweepLimit)
	if err != nil {
		return nil, fmt.Errorf("sweep commands: %w", err)
	}
	a.Metrics.swept.WithLabelValues("resolution").Add(float64(len(commands)))
	for _, row := range commands {
		refs = append(refs, withdrawalRef(row.ID, row.WorkspaceID, row.AmountMsat))
	}

	return refs, nil
}

func (a *Nodes) overdueReceipts(ctx context.Context) ([]workflows.ChargeRef, error) {
	refs, err := a.uncredited(ctx, receiptSweepAge)
	if err != nil {
		return nil, err
	}
	a.Metrics.swept.WithLabelValues("receipt").Add(float64(len(refs)))

	return refs, nil
}

func (a *Nodes) overdueCharges(ctx context.Context) ([]workflows.ChargeRef, error) {
	charges, err := a.Store.SweepCharges(ctx, sweepLimit)
	if err != nil {
		return nil, fmt.Errorf("sweep charges: %w", err)
	}
	a.Metrics.swept.WithLabelValues("charge").Add(float64(len(charges)))
	refs := make([]workflows.ChargeRef, len(charges))
	for i, row := range charges {
		refs[i] = workflows.ChargeRef{ID: row.ID, WorkspaceID: row.WorkspaceID, AmountMsat: payments.Msat(row.AmountMsat)}
	}

	return refs, nil
}

// sweepDeliveries starts what is overdue. One that cannot be started is logged
// and comes again.
func (a *Nodes) sweepDeliveries(ctx context.Context) error {
	ids, err := a.Store.OverdueDeliveries(ctx, sweepLimit)
	if err != nil {
		return fmt.Errorf("sweep deliveries: %w", err)
	}
	a.Metrics.swept.WithLabelValues("delivery").Add(float64(len(ids)))
	ctx, cancel := context.WithTimeout(ctx, deliveriesTimeout)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(sweepAtOnce)
	for _, id := range ids {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
			defer cancel()
			if err := a.Nudger.Deliver(ctx, id); err != nil {
				a.Log.WarnContext(ctx, "delivery not started, will be repeated", "delivery", id, "error", err)
			}

			return nil
		})
	}

	return group.Wait()
}

// sweepRegressed reads the list of a node that is back in time each minute: its
// stream begins at a cursor from before, and lnd sends no invoice whose settle
// index is at or below it.
func (a *Nodes) sweepRegressed(ctx context.Context) error {
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	if node.RegressedAt == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, regressedTimeout)
	defer cancel()
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()

	return a.sweepList(ctx, nudges)
}

// checkIndexes notes the highest indexes that the node has, or that it has
// lower ones than it once had.
func (a *Nodes) checkIndexes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, indexesTimeout)
	defer cancel()
	// The stored ones first: what the node adds in between only raises it.
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	present, err := a.Node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}
	if regressed(node, present) {
		return markRegressed(ctx, a.Store, a.Alerts, node, present)
	}
	if err := a.Store.RaiseHighestIndexes(ctx, db.RaiseHighestIndexesParams{
		Name: node.Name, AddIndex: int64(present.Add), SettleIndex: int64(present.Settle),
	}); err != nil {
		return fmt.Errorf("raise indexes of %s: %w", node.Name, err)
	}
	if err := a.Store.RaiseHighestPayment(ctx, db.RaiseHighestPaymentParams{
		Name: node.Name, PaymentIndex: int64(present.Payment),
	}); err != nil {
		return fmt.Errorf("raise the payment index of %s: %w", node.Name, err)
	}

	return nil
}

// regressed reports that the node has lower indexes than it once had.
func regressed(node db.GetNodeRow, present lightning.Indexes) bool {
	return int64(present.Add) < node.HighestAddIndex || int64(present.Payment) < node.HighestPaymentIndex
}

// markRegressed freezes conclusions from what the node lacks.
func markRegressed(ctx context.Context, s *store.Store, alerts *Alerts, node db.GetNodeRow, present lightning.Indexes) error {
	if _, err := s.MarkNodeRegressed(ctx, node.Name); err != nil {
		return fmt.Errorf("mark node %s: %w", node.Name, err)
	}
	alerts.Raise(ctx, AlertNodeRegressed, "the node went back in time: conclusions from what it lacks are frozen",
		"node", node.Name, "highest_add_index", present.Add, "seen_add_index", node.HighestAddIndex,
		"highest_payment_index", present.Payment, "seen_payment_index", node.HighestPaymentIndex)

	return nil
}

// SweepNode compares the node's list of invoices with the receipts, from the
// oldest charge that is not closed, and writes what is missing; and its list of
// payments with the withdrawals. It beats beside
// the work: a page may take longer than a heartbeat may.
func (a *Nodes) SweepNode(ctx context.Context, in workflows.NodeInput) error {
	if err := a.serves(in); err != nil {
		return err
	}

	return a.beating(ctx, "reading the list of invoices", func(ctx context.Context, _ *atomic.Value) error {
		nudges := newNudges(a.Nudger, a.Log)
		defer nudges.wait()

		return errors.Join(a.sweepList(ctx, nudges), a.sweepPayments(ctx))
	})
}

// beating runs work with a heartbeat beside it, which says what status holds, and
// ends it when the worker stops.
func (a *Nodes) beating(ctx context.Context, first string, work func(context.Context, *atomic.Value) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var status atomic.Value
	status.Store(first)
	var beating sync.WaitGroup
	beating.Go(func() { _ = a.heartbeat(ctx, cancel, &status) })
	err := work(ctx, &status)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	cancel(nil)
	beating.Wait()

	return err
}

func (a *Nodes) sweepList(ctx context.Context, nudges *nudges) error {
	from, err := a.Store.OldestOpenAddIndex(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("find the oldest open charge: %w", err)
	}
	if from == 0 {
		return nil
	}

	return a.readList(ctx, nudges, uint64(from))
}

// readList writes the receipts that are missing of all invoices from an add
// index on.
func (a *Nodes) readList(ctx context.Context, nudges *nudges, from uint64) error {
	err := a.Node.ListInvoices(ctx, from, listPage, func(page []lightning.Invoice) error {
		var settled []store.Settlement
		for _, invoice := range page {
			if invoice.State == lightning.InvoiceSettled {
				settled = append(settled, settlement(invoice))
			}
		}
		if len(settled) == 0 {
			return nil
		}

		return a.write(ctx, nudges, time.Time{}, settled)
	})
	if err != nil {
		return fmt.Errorf("sweep the list of %s: %w", a.Node.Name(), err)
	}

	return nil
}
