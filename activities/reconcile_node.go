package activities

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// reconcileGrace is how old a thing must be to be missed: what is younger may
	// still be on its way.
	reconcileGrace = 2 * time.Minute
	// overdueGrace is how long after its expiry a charge may be open.
	overdueGrace = 10 * time.Minute
	// nodePage is a page of the node's lists: of a full reading there are many, and
	// an invoice of lnd's has about a kilobyte.
	nodePage = 2000
	// rowsPage is a page of our rows.
	rowsPage = 5000
	// maxNodeFindings bounds what one comparison tells.
	maxNodeFindings = 1000
)

// The kinds of findings of a comparison with the node. A full one looks for them
// everywhere; solvencyKinds are judged each time.
var (
	nodeKinds = []string{
		"receipt_differs", "receipt_without_invoice", "charge_waits", "payment_differs", "withdrawal_without_payment",
	}
	solvencyKinds = []string{"insolvent"}
)

// FindingKinds are all kinds that the node is compared for.
func FindingKinds() []string { return slices.Concat(nodeKinds, solvencyKinds) }

// comparison is one reading of a node's lists.
type comparison struct {
	*Nodes

	state   db.GetReconciliationRow
	node    db.GetNodeRow
	present lightning.Indexes
	full    bool
	// back says that the node has gone back in time: nothing is concluded from
	// what it lacks.
	back   bool
	nudges *nudges
	status *atomic.Value

	// settled and paid are the hashes of what the node has, by their first eight
	// bytes: they only say what need not be looked at twice.
	settled, paid prefixes
	done          workflows.ReconcileNode
	findings      []ledger.Finding
	// invoicesFrom and paymentsAfter are the marks for the next.
	invoicesFrom, paymentsAfter uint64
}

// ReconcileNode compares the node's invoices and payments with receipts and
// withdrawals, both ways, and what it has with what is owed. Receipts that are
// missing are written. Hours read what was not final when they last did, nights
// everything.
func (a *Reconciliation) ReconcileNode(ctx context.Context, in workflows.ReconcileInput) (done workflows.ReconcileNode, err error) {
	state, err := a.state(ctx, in)
	if err != nil {
		return done, err
	}
	err = a.Nodes.beating(ctx, "reading the node's indexes", func(ctx context.Context, status *atomic.Value) error {
		c := &comparison{Nodes: a.Nodes, state: state, full: a.full(in, state), status: status}
		c.nudges = newNudges(a.Nodes.Nudger, a.Nodes.Log)
		defer c.nudges.wait()
		if err := c.run(ctx); err != nil {
			return err
		}
		check := ledger.NewCheck(c.findings, maxNodeFindings, nodeKinds)
		if !c.full {
			check.Kinds = nil
		}
		recorded, err := a.Nodes.Store.RecordFindings(ctx, in.Node, append(a.solvency(ctx, c), check))
		if err != nil {
			return err
		}
		done = c.done
		done.Full, done.Seen, done.New, done.Resolved = c.full, recorded.Seen, recorded.New, recorded.Resolved

		return nil
	})

	return done, err
}

// run reads the lists, and looks a second time at what they lack.
func (c *comparison) run(ctx context.Context) (err error) {
	// The stored indexes first: what the node adds in between only raises it.
	if c.node, err = c.Store.GetNode(ctx, c.Node.Name()); err != nil {
		return fmt.Errorf("read node %s: %w", c.Node.Name(), err)
	}
	if c.present, err = c.Node.HighestIndexes(ctx); err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}
	c.back = c.node.RegressedAt != nil || regressed(c.node, c.present)
	if c.back {
		c.note("the node went back in time: nothing is concluded from what it lacks")
	}
	if err := c.invoices(ctx); err != nil {
		return err
	}
	if err := c.payments(ctx); err != nil {
		return err
	}
	if err := c.receiptsOnNode(ctx); err != nil {
		return err
	}
	if err := c.withdrawalsOnNode(ctx); err != nil {
		return err
	}
	if c.back {
		return nil
	}
	if err := c.Store.MoveReconciliation(ctx, db.MoveReconciliationParams{
		Node: c.Node.Name(), InvoicesFrom: int64(c.invoicesFrom), PaymentsAfter: int64(c.paymentsAfter),
	}); err != nil {
		return fmt.Errorf("note how far reconciliation has come: %w", err)
	}

	return nil
}

func (c *comparison) note(what string) {
	if c.done.Note != "" {
		what = c.done.Note + "; " + what
	}
	c.done.Note = what
}

// found adds a finding.
func (c *comparison) found(invariant, kind, subject, workspaceID string, detail map[string]any) error {
	if len(c.findings) >= maxNodeFindings {
		return nil
	}
	encoded, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("render the detail of %s: %w", kind, err)
	}
	c.findings = append(c.findings, ledger.Finding{
		Invariant: invariant, Kind: kind, Subject: subject, WorkspaceID: workspaceID, Detail: encoded,
	})

	return nil
}

// since is from when on rows are looked for on the node.
func (c *comparison) since() time.Time {
	if c.full || c.state.LastSuccessAt == nil {
		return time.Time{}
	}

	return c.state.LastSuccessAt.Add(-sinceMargin)
}

// until is up to when they are: what is younger may be newer than the list.
func (c *comparison) until() time.Time { return c.state.Now.Add(-reconcileGrace) }

// invoices reads the list of invoices, from our first or from the mark.
func (c *comparison) invoices(ctx context.Context) error {
	from := c.state.InvoicesFrom
	if c.full {
		var err error
		if from, err = c.Store.LowestAddIndex(ctx, c.Node.Name()); err != nil {
			return fmt.Errorf("find our first invoice: %w", err)
		}
	}
	c.invoicesFrom = c.present.Add + 1
	err := c.Node.ListInvoices(ctx, uint64(max(from, 1)), nodePage, func(page []lightning.Invoice) error {
		c.done.Invoices += len(page)
		c.status.Store(fmt.Sprintf("%d invoices compared, up to add index %d", c.done.Invoices, page[len(page)-1].AddIndex))

		return c.comparePage(ctx, page)
	})
	if err != nil {
		return fmt.Errorf("compare the invoices of %s: %w", c.Node.Name(), err)
	}

	return nil
}

func (c *comparison) comparePage(ctx context.Context, page []lightning.Invoice) error {
	hashes := make([][]byte, len(page))
	for i, invoice := range page {
		hashes[i] = invoice.PaymentHash[:]
	}
	rows, err := c.Store.CompareInvoices(ctx, db.CompareInvoicesParams{
		Node: c.Node.Name(), PaymentHashes: hashes, GraceS: overdueGrace.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("read receipts and charges: %w", err)
	}
	byHash := map[lightning.Hash]db.CompareInvoicesRow{}
	for _, row := range rows {
		byHash[lightning.Hash(row.PaymentHash)] = row
	}
	var missing []store.Settlement
	for _, invoice := range page {
		row := byHash[invoice.PaymentHash]
		switch {
		case invoice.State == lightning.InvoiceSettled:
			c.settled.add(invoice.PaymentHash)
			// What is paid already is not on its way any more.
			late := invoice.SettledAt.Before(c.until()) || row.ChargeStatus == "paid"
			if row.AmtPaidMsat == 0 && invoice.AmtPaidMsat > 0 && late {
				missing = append(missing, settlement(invoice))
			}
		case invoice.State != lightning.InvoiceCanceled && row.ChargeID != "":
			c.invoicesFrom = min(c.invoicesFrom, invoice.AddIndex)
		}
		if err := c.compareInvoice(invoice, row); err != nil {
			return err
		}
	}

	return c.heal(ctx, missing)
}

// compareInvoice holds one invoice against its receipt and its charge.
func (c *comparison) compareInvoice(invoice lightning.Invoice, row db.CompareInvoicesRow) error {
	if invoice.State == lightning.InvoiceSettled && row.AmtPaidMsat != 0 &&
		(row.AmtPaidMsat != int64(invoice.AmtPaidMsat) || row.SettleIndex != int64(invoice.SettleIndex)) {
		return c.found("I4", "receipt_differs", c.receiptSubject(invoice.PaymentHash), row.WorkspaceID, map[string]any{
			"receipt_msat": row.AmtPaidMsat, "node_msat": invoice.AmtPaidMsat,
			"receipt_settle_index": row.SettleIndex, "node_settle_index": invoice.SettleIndex,
		})
	}
	if invoice.State == lightning.InvoiceCanceled && row.ChargeStatus == "pending" && row.SettlingBy == "" && row.Overdue {
		return c.found("waits", "charge_waits", row.ChargeID, row.WorkspaceID, map[string]any{"invoice": invoice.State})
	}

	return nil
}

func (c *comparison) receiptSubject(hash lightning.Hash) string {
	return c.Node.Name() + "/" + hash.String()
}

// heal writes the receipts that are missing. Those of charges that are in the
// books as paid by this node are put back as they were; any other is credited by
// the run of its charge, or is suspense.
func (c *comparison) heal(ctx context.Context, missing []store.Settlement) error {
	if len(missing) == 0 {
		return nil
	}
	restored, err := c.Store.PutBackReceipts(ctx, c.Node.Name(), missing)
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(missing), func(one store.Settlement) bool { return restored[one.PaymentHash] })
	if len(rest) > 0 {
		if err := c.write(ctx, c.nudges, time.Time{}, rest); err != nil {
			return fmt.Errorf("write missing receipts: %w", err)
		}
	}
	for _, one := range missing {
		c.Log.WarnContext(ctx, "a receipt was missing and is written", "node", c.Node.Name(),
			"payment_hash", lightning.Hash(one.PaymentHash).String(), "amt_paid_msat", int64(one.AmtPaidMsat),
			"was_credited", restored[one.PaymentHash])
	}
	c.done.Healed += len(missing)
	c.Metrics.reconcile.healed.WithLabelValues(healedReceipt).Add(float64(len(missing)))

	return nil
}

// receiptsOnNode looks for the invoice of each receipt that the list did not
// show. It is asked for once more before it is missed.
func (c *comparison) receiptsOnNode(ctx context.Context) error {
	c.settled.sort()
	after := []byte{}
	for {
		rows, err := c.Store.ReceiptsAfter(ctx, db.ReceiptsAfterParams{
			Node: c.Node.Name(), After: after, Since: c.since(), Until: c.until(), MaxRows: rowsPage,
		})
		if err != nil {
			return fmt.Errorf("read receipts: %w", err)
		}
		for _, row := range rows {
			after = row.PaymentHash
			hash := lightning.Hash(row.PaymentHash)
			if c.settled.has(hash) || len(c.findings) >= maxNodeFindings {
				continue
			}
			if err := c.lookForInvoice(ctx, hash, row); err != nil {
				return err
			}
		}
		if len(rows) < rowsPage {
			return nil
		}
	}
}

func (c *comparison) lookForInvoice(ctx context.Context, hash lightning.Hash, row db.ReceiptsAfterRow) error {
	invoice, err := c.Node.LookupInvoice(ctx, hash)
	state := string(invoice.State)
	switch {
	case errors.Is(err, lightning.ErrInvoiceNotFound):
		if c.back {
			return nil
		}
		state = "none"
	case err != nil:
		return fmt.Errorf("look for the invoice of a receipt: %w", err)
	case invoice.State == lightning.InvoiceSettled:
		return nil
	case c.back:
		return nil
	}

	return c.found("I4", "receipt_without_invoice", c.receiptSubject(hash), row.WorkspaceID, map[string]any{
		"receipt_msat": row.AmtPaidMsat, "invoice": state,
	})
}

// prefixes are hashes by their first eight bytes: a million of them take 8 MB.
type prefixes []uint64

func prefix(hash lightning.Hash) uint64 { return binary.BigEndian.Uint64(hash[:8]) }

func (p *prefixes) add(hash lightning.Hash) { *p = append(*p, prefix(hash)) }

func (p *prefixes) sort() { slices.Sort(*p) }

// has is right about a sorted set, but for one stranger in 2^64.
func (p *prefixes) has(hash lightning.Hash) bool {
	_, ok := slices.BinarySearch(*p, prefix(hash))

	return ok
}
