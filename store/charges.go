package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Charge turns a row into the domain's charge.
func (s *Store) Charge(row db.Charge) payments.Charge {
	charge := payments.Charge{
		ID: row.ID, WorkspaceID: row.WorkspaceID, Environment: s.Environment,
		Status:     payments.ChargeStatus(row.Status),
		AmountMsat: payments.Msat(row.AmountMsat), AmountPaidMsat: payments.Msat(row.AmountPaidMsat),
		Description: row.Description, PaymentHash: row.PaymentHash, ExternalID: row.ExternalID,
		CreatedAt: row.CreatedAt, PaidAt: row.PaidAt, Warnings: row.Warnings,
	}
	// The column only ever holds what json.Marshal wrote of such a map.
	_ = json.Unmarshal(row.Metadata, &charge.Metadata)
	if row.Bolt11 != nil {
		charge.Bolt11 = *row.Bolt11
	}
	if row.ExpiresAt != nil {
		charge.ExpiresAt = *row.ExpiresAt
	}

	return charge
}

// SettleResult tells what SettleCharges did that a human should know.
type SettleResult struct {
	// Paid are the charges that became paid now.
	Paid []db.PayChargesRow
	// Suspended are charges that were paid before and got a second receipt.
	Suspended []string
}

// SettleCharges credits every charge of ids that has an uncredited receipt, in
// one transaction: status, transfer, balance, event, deliveries, receipt. It is
// a no-op for those that are done. Rows are locked in the order charge,
// counters of usage (by a trigger), balance, event sequence, each by ascending
// id, so that batches of several settlers and workers cannot deadlock.
func (s *Store) SettleCharges(ctx context.Context, ids []string) (SettleResult, error) {
	var result SettleResult
	err := s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		paid, err := q.PayCharges(ctx, ids)
		if err != nil {
			return fmt.Errorf("pay charges: %w", err)
		}
		result.Paid = paid
		if len(paid) > 0 {
			if err := s.book(ctx, tx, q, paid); err != nil {
				return err
			}
		}
		if len(paid) == len(ids) {
			return nil
		}
		if result.Suspended, err = q.SuspendReceipts(ctx, ids); err != nil {
			return fmt.Errorf("suspend receipts: %w", err)
		}

		return nil
	})
	if err == nil {
		s.Metrics.credited(result.Paid)
	}

	return result, err
}

// book writes everything that follows from charges having become paid.
func (s *Store) book(ctx context.Context, tx pgx.Tx, q *db.Queries, paid []db.PayChargesRow) error {
	credit := db.CreditReceiptsParams{Nodes: make([]string, len(paid)), PaymentHashes: make([][]byte, len(paid))}
	entries := make([]ledger.Entry, len(paid))
	events := make([]NewEvent, len(paid))
	for i, row := range paid {
		charge := s.Charge(row.Charge)
		credit.Nodes[i], credit.PaymentHashes[i] = row.Charge.Node, row.Charge.PaymentHash
		entries[i] = ledger.Entry{
			WorkspaceID: charge.WorkspaceID, Kind: ledger.KindChargeSettled, Ref: charge.ID,
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: charge.AmountPaidMsat,
		}
		events[i] = NewEvent{
			WorkspaceID: charge.WorkspaceID, Type: payments.EventChargePaid, ResourceID: charge.ID, Object: charge,
		}
	}
	if err := q.CreditReceipts(ctx, credit); err != nil {
		return fmt.Errorf("mark receipts: %w", err)
	}
	if _, err := ledger.Post(ctx, tx, entries); err != nil {
		return err
	}

	return s.WriteEvents(ctx, q, events)
}

// EndCharge moves a pending charge whose invoice the node has canceled to
// expired or canceled, with its event; ok is false when the row did not allow
// it (not pending any more, claimed by a book transfer, or not yet due). The
// answer, if any, is frozen into the claim in the same transaction.
func (s *Store) EndCharge(ctx context.Context, end EndCharge) (charge payments.Charge, ok bool, err error) {
	err = s.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.CloseCharge(ctx, db.CloseChargeParams{
			ID: end.ID, Status: string(end.Status), NodeCanceled: end.NodeCanceled,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("close %s: %w", end.ID, err)
		}
		ok, charge = true, s.Charge(row)
		if end.ClaimID != "" {
			if err := freezeCharge(ctx, q, end.ClaimID, charge); err != nil {
				return err
			}
		}
		if err := q.NotifyCharges(ctx, []string{end.ID}); err != nil {
			return fmt.Errorf("notify: %w", err)
		}

		return s.WriteEvents(ctx, q, []NewEvent{{
			WorkspaceID: charge.WorkspaceID, Type: payments.EventType("charge." + string(end.Status)),
			ResourceID: charge.ID, Object: charge,
		}})
	})

	if ok = ok && err == nil; ok {
		s.Metrics.closed(end.Status)
	}

	return charge, ok, err
}

// EndCharge says how a charge ends without money.
type EndCharge struct {
	ID string
	// Status is expired or canceled.
	Status payments.ChargeStatus
	// NodeCanceled allows expired before its time: the node canceled the
	// invoice of its own accord.
	NodeCanceled bool
	// ClaimID is the claim of the POST that asked, if one did.
	ClaimID string
}

// freezeCharge answers a claim with 200 and the charge.
func freezeCharge(ctx context.Context, q *db.Queries, claimID string, charge payments.Charge) error {
	body, err := json.Marshal(charge)
	if err != nil {
		return fmt.Errorf("render %s: %w", charge.ID, err)
	}

	return Freeze(ctx, q, claimID, 200, body)
}

// Freeze stores the answer of a claim unless it has one.
func Freeze(ctx context.Context, q *db.Queries, claimID string, status int32, body []byte) error {
	_, err := q.AnswerClaim(ctx, db.AnswerClaimParams{ResourceID: claimID, AnswerStatus: &status, Answer: body})
	if err != nil {
		return fmt.Errorf("answer claim %s: %w", claimID, err)
	}

	return nil
}

// Settlement is what a node settled, on its way to a receipt.
type Settlement struct {
	PaymentHash [32]byte
	AmtPaidMsat payments.Msat
	SettleIndex uint64
	AddIndex    uint64
	SettledAt   time.Time
}

// WriteReceipts records settlements of a node, moves its cursor as far as is
// safe, and returns the receipts that were new. streamOpenedAt is when the
// stream that brought them was opened, by Postgres' clock; zero for a sweep or
// a lookup, which say nothing about the stream.
func (s *Store) WriteReceipts(ctx context.Context, node string, streamOpenedAt time.Time, settled []Settlement,
) ([]db.WriteReceiptsRow, error) {
	params := db.WriteReceiptsParams{Node: node}
	highest := db.RaiseHighestIndexesParams{Name: node}
	for _, one := range settled {
		params.PaymentHashes = append(params.PaymentHashes, one.PaymentHash[:])
		params.AmtsPaidMsat = append(params.AmtsPaidMsat, int64(one.AmtPaidMsat))
		params.SettleIndexes = append(params.SettleIndexes, int64(one.SettleIndex))
		params.SettledAts = append(params.SettledAts, one.SettledAt)
		highest.AddIndex = max(highest.AddIndex, int64(one.AddIndex))
		highest.SettleIndex = max(highest.SettleIndex, int64(one.SettleIndex))
	}
	var fresh []db.WriteReceiptsRow
	err := s.InTx(ctx, func(_ pgx.Tx, q *db.Queries) (err error) {
		if fresh, err = q.WriteReceipts(ctx, params); err != nil {
			return fmt.Errorf("write receipts: %w", err)
		}
		if err := q.RaiseHighestIndexes(ctx, highest); err != nil {
			return fmt.Errorf("raise indexes of %s: %w", node, err)
		}
		if streamOpenedAt.IsZero() {
			return nil
		}
		if err := q.AdvanceSettleCursor(ctx, db.AdvanceSettleCursorParams{
			Name: node, StreamOpenedAt: streamOpenedAt,
		}); err != nil {
			return fmt.Errorf("advance cursor of %s: %w", node, err)
		}

		return nil
	})
	if err == nil {
		s.Metrics.recorded(fresh)
	}

	return fresh, err
}
