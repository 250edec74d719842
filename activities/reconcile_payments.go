package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/store/db"
)

// payments reads the list of payments, from when the node became ours or from
// the mark.
func (c *comparison) payments(ctx context.Context) error {
	after := c.state.PaymentsAfter
	if c.full {
		after = 0
		if c.node.PaymentsOursFrom != nil {
			after = *c.node.PaymentsOursFrom
		}
	}
	c.paymentsAfter = uint64(after)
	contiguous := true
	err := c.Node.ListPayments(ctx, uint64(after), nodePage, func(page []lightning.Payment) error {
		c.done.Payments += len(page)
		c.status.Store(fmt.Sprintf("%d payments compared, up to index %d", c.done.Payments, page[len(page)-1].Index))
		final, err := c.comparePayments(ctx, page)
		if err != nil {
			return err
		}
		for i, payment := range page {
			contiguous = contiguous && final[i]
			if contiguous {
				c.paymentsAfter = payment.Index
			}
		}

		return c.noteUnknown(ctx, page)
	})
	if err != nil {
		return fmt.Errorf("compare the payments of %s: %w", c.Node.Name(), err)
	}

	return nil
}

// comparePayments holds a page against the withdrawals of its hashes: what
// succeeded has moved what the books say. final says of each whether it is over,
// on the node and in the books.
func (c *comparison) comparePayments(ctx context.Context, page []lightning.Payment) (final []bool, err error) {
	final = make([]bool, len(page))
	var hashes [][]byte
	for i, payment := range page {
		final[i] = payment.State != lightning.PaymentInFlight
		if payment.State != lightning.PaymentFailed {
			hashes = append(hashes, payment.PaymentHash[:])
		}
	}
	rows, err := c.Store.ComparePayments(ctx, hashes)
	if err != nil {
		return nil, fmt.Errorf("read withdrawals: %w", err)
	}
	byHash := map[lightning.Hash]db.ComparePaymentsRow{}
	for _, row := range rows {
		byHash[lightning.Hash(row.PaymentHash)] = row
	}
	for i, payment := range page {
		row, ok := byHash[payment.PaymentHash]
		if !ok || payment.State != lightning.PaymentSucceeded || row.Node != c.Node.Name() {
			continue
		}
		c.paid.add(payment.PaymentHash)
		if row.Status != "succeeded" {
			final[i] = false

			continue
		}
		if err := c.comparePayment(payment, row); err != nil {
			return nil, err
		}
	}

	return final, nil
}

// comparePayment is I5 of one payment. A book transfer has none.
func (c *comparison) comparePayment(payment lightning.Payment, row db.ComparePaymentsRow) error {
	if row.Kind == "lightning" && row.AmountMsat == int64(payment.ValueMsat) && row.NodeFeeMsat == int64(payment.FeeMsat) {
		return nil
	}

	return c.found("I5", "payment_differs", row.ID, row.WorkspaceID, map[string]any{
		"kind": row.Kind, "amount_msat": row.AmountMsat, "node_amount_msat": payment.ValueMsat,
		"fee_msat": row.NodeFeeMsat, "node_fee_msat": payment.FeeMsat, "payment_index": payment.Index,
	})
}

// noteUnknown notes payments that no withdrawal explains and nobody has noted:
// the sweep looks only behind its mark.
func (c *comparison) noteUnknown(ctx context.Context, page []lightning.Payment) error {
	judged, err := c.judgePayments(ctx, page)
	if err != nil || len(judged.strays) == 0 {
		return err
	}
	var indexes []int64
	for _, one := range judged.strays {
		indexes = append(indexes, int64(one.Index))
	}
	rows, err := c.Store.KnownStrays(ctx, db.KnownStraysParams{Node: c.Node.Name(), PaymentIndexes: indexes})
	if err != nil {
		return fmt.Errorf("read known strays: %w", err)
	}
	known := map[db.KnownStraysRow]bool{}
	for _, row := range rows {
		known[row] = true
	}
	unknown := slices.DeleteFunc(judged.strays, func(one stray) bool {
		return known[db.KnownStraysRow{PaymentIndex: int64(one.Index), CreatedNs: one.CreatedNS}]
	})
	if _, err := c.noteStrays(ctx, unknown); err != nil {
		return err
	}
	c.Metrics.reconcile.healed.WithLabelValues(healedStray).Add(float64(len(unknown)))

	return nil
}

// withdrawalsOnNode looks for the payment of each withdrawal that succeeded and
// that the list did not show.
func (c *comparison) withdrawalsOnNode(ctx context.Context) error {
	c.paid.sort()
	after := ""
	for {
		rows, err := c.Store.SucceededAfter(ctx, db.SucceededAfterParams{
			Node: c.Node.Name(), After: after, Since: c.since(), Until: c.until(), MaxRows: rowsPage,
		})
		if err != nil {
			return fmt.Errorf("read withdrawals: %w", err)
		}
		for _, row := range rows {
			after = row.ID
			if c.paid.has(lightning.Hash(row.PaymentHash)) || c.back || len(c.findings) >= maxNodeFindings {
				continue
			}
			if err := c.lookForPayment(ctx, row); err != nil {
				return err
			}
		}
		if len(rows) < rowsPage {
			return nil
		}
	}
}

func (c *comparison) lookForPayment(ctx context.Context, row db.SucceededAfterRow) error {
	payment, err := c.Node.TrackPayment(ctx, lightning.Hash(row.PaymentHash))
	state := string(payment.State)
	switch {
	case errors.Is(err, lightning.ErrPaymentNotFound):
		state = "none"
	case err != nil:
		return fmt.Errorf("look for the payment of %s: %w", row.ID, err)
	case payment.State == lightning.PaymentSucceeded:
		return nil
	}

	return c.found("I5", "withdrawal_without_payment", row.ID, row.WorkspaceID, map[string]any{
		"amount_msat": row.AmountMsat, "fee_msat": row.FeeMsat, "payment": state,
	})
}

// shortReadings is how many readings in a row make a node short of what is owed:
// one may fall between a payment's end and its booking.
const shortReadings = 2

// solvency is I7: what is owed is there, but for a tolerance. A node that cannot
// say what it has is noted and breaks nothing.
func (a *Reconciliation) solvency(ctx context.Context, c *comparison) []ledger.Check {
	has, err := c.Node.Balances(ctx)
	if err != nil {
		c.note("the node's balances were not read: " + err.Error())

		return nil
	}
	owed, err := c.Store.Liabilities(ctx)
	if err != nil {
		c.note("what is owed was not read: " + err.Error())

		return nil
	}
	c.Metrics.reconcile.showAssets(has)
	c.Metrics.reconcile.liabilities.Set(float64(owed))
	short := owed - int64(has.TotalMsat())
	isShort := int32(0)
	if short > int64(a.Policy.SolvencyToleranceMsat) {
		isShort = 1
	}
	readings, err := c.Store.CountShort(ctx, db.CountShortParams{Node: c.Node.Name(), Short: isShort})
	if err != nil {
		c.note("the reading was not counted: " + err.Error())

		return nil
	}
	check := ledger.Check{Kinds: solvencyKinds}
	if readings < shortReadings {
		return []ledger.Check{check}
	}
	findings := c.findings
	c.findings = nil
	err = c.found("I7", "insolvent", c.Node.Name(), "", map[string]any{
		"owed_msat": owed, "has_msat": has.TotalMsat(), "short_msat": short, "readings": readings,
		"tolerance_msat": a.Policy.SolvencyToleranceMsat,
	})
	check.Findings, c.findings = c.findings, findings
	if err != nil {
		c.note(err.Error())
	}

	return []ledger.Check{check}
}
