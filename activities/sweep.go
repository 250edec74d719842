package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

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
)

// SweepRows comes back for every row whose next_check_at is past: rule R6.
func (a *Nodes) SweepRows(ctx context.Context) error {
	refs, err := a.uncredited(ctx, receiptSweepAge)
	if err != nil {
		return err
	}
	a.Metrics.swept.WithLabelValues("receipt").Add(float64(len(refs)))
	charges, err := a.Store.SweepCharges(ctx, sweepLimit)
	if err != nil {
		return fmt.Errorf("sweep charges: %w", err)
	}
	a.Metrics.swept.WithLabelValues("charge").Add(float64(len(charges)))
	for _, row := range charges {
		refs = append(refs, workflows.ChargeRef{ID: row.ID, WorkspaceID: row.WorkspaceID, AmountMsat: payments.Msat(row.AmountMsat)})
	}
	nudges := newNudges(a.Nudger, a.Log)
	nudges.send(ctx, refs)
	nudges.wait()
	if err := a.sweepDeliveries(ctx); err != nil {
		return err
	}
	if err := a.checkIndexes(ctx); err != nil {
		return err
	}

	return a.count(ctx)
}

func (a *Nodes) sweepDeliveries(ctx context.Context) error {
	ids, err := a.Store.OverdueDeliveries(ctx, sweepLimit)
	if err != nil {
		return fmt.Errorf("sweep deliveries: %w", err)
	}
	a.Metrics.swept.WithLabelValues("delivery").Add(float64(len(ids)))
	for _, id := range ids {
		if err := a.Nudger.Deliver(ctx, id); err != nil {
			return err
		}
	}

	return nil
}

// checkIndexes notes the highest indexes that the node has, or that it has
// lower ones than it once had.
func (a *Nodes) checkIndexes(ctx context.Context) error {
	present, err := a.Node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	if int64(present.Add) < node.HighestAddIndex {
		return markRegressed(ctx, a.Store, a.Alerts, node, present)
	}
	if err := a.Store.RaiseHighestIndexes(ctx, db.RaiseHighestIndexesParams{
		Name: node.Name, AddIndex: int64(present.Add), SettleIndex: int64(present.Settle),
	}); err != nil {
		return fmt.Errorf("raise indexes of %s: %w", node.Name, err)
	}

	return nil
}

// markRegressed freezes conclusions from what the node lacks.
func markRegressed(ctx context.Context, s *store.Store, alerts *Alerts, node db.GetNodeRow, present lightning.Indexes) error {
	if _, err := s.MarkNodeRegressed(ctx, node.Name); err != nil {
		return fmt.Errorf("mark node %s: %w", node.Name, err)
	}
	alerts.Raise(ctx, AlertNodeRegressed, "the node went back in time: conclusions from what it lacks are frozen",
		"node", node.Name, "highest_add_index", present.Add, "seen_add_index", node.HighestAddIndex)

	return nil
}

func (a *Nodes) count(ctx context.Context) error {
	rows, err := a.Store.CountOpenCharges(ctx)
	if err != nil {
		return fmt.Errorf("count open charges: %w", err)
	}
	a.Metrics.openCharge.Reset()
	for _, row := range rows {
		a.Metrics.openCharge.WithLabelValues(row.Status).Set(float64(row.Charges))
	}

	return nil
}

// SweepNode compares the node's list of invoices with the receipts, from the
// oldest charge that is not closed, and writes what is missing.
func (a *Nodes) SweepNode(ctx context.Context, _ workflows.NodeInput) error {
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()

	return a.sweepList(ctx, nudges, func() { activity.RecordHeartbeat(ctx) })
}

func (a *Nodes) sweepList(ctx context.Context, nudges *nudges, beat func()) error {
	from, err := a.Store.OldestOpenAddIndex(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("find the oldest open charge: %w", err)
	}
	if from == 0 {
		return nil
	}
	err = a.Node.ListInvoices(ctx, uint64(from), listPage, func(page []lightning.Invoice) error {
		beat()
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
