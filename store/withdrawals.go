package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Withdrawal turns a row into the domain's withdrawal.
func (s *Store) Withdrawal(row db.Withdrawal) payments.Withdrawal {
	withdrawal := payments.Withdrawal{
		ID: row.ID, WorkspaceID: row.WorkspaceID, Environment: s.Environment,
		Kind: payments.WithdrawalKind(row.Kind), Status: payments.WithdrawalStatus(row.Status),
		UnderReview: row.ReviewReason != nil,
		AmountMsat:  payments.Msat(row.AmountMsat), MaxFeeMsat: payments.Msat(row.MaxFeeMsat),
		FeeMsat: payments.Msat(row.FeeMsat), PaymentHash: row.PaymentHash, Destination: row.Destination,
		Preimage: row.Preimage, Bolt11: row.Bolt11, Description: row.Description, ExternalID: row.ExternalID,
		CreatedAt: row.CreatedAt, CompletedAt: row.CompletedAt,
	}
	// The column only ever holds what json.Marshal wrote of such a map.
	_ = json.Unmarshal(row.Metadata, &withdrawal.Metadata)
	if row.FailureCode != nil {
		withdrawal.Failure = payments.FailureCode(*row.FailureCode)
	}
	if !withdrawal.Status.Closed() && row.SentAt != nil {
		withdrawal.InFlight = &payments.InFlight{
			Since: *row.SentAt, Sends: int(row.Sends), HTLCAttempts: int(row.HtlcAttempts),
			HTLCExpiryHeight: row.HtlcExpiryHeight, CheckedAt: row.CheckedAt,
		}
	}

	return withdrawal
}

// errSwapLost rolls back what rests on a compare-and-swap that another won.
var errSwapLost = errors.New("store: the row has moved on")

// PostWithdrawal says how a withdrawal was paid over Lightning.
type PostWithdrawal struct {
	ID       string
	Preimage [32]byte
	// FeeMsat is what the node paid for routing, above the limit too;
	// MaxFeeMsat the limit that the row has.
	FeeMsat    payments.Msat
	MaxFeeMsat payments.Msat
	// PaymentIndex and HTLCAttempts are the node's record.
	PaymentIndex int64
	HTLCAttempts int
	// Resolution is the operator's command that this carries out; 0 for none.
	Resolution int64
}

// PostWithdrawal ends a withdrawal as succeeded: amount and fee leave the
// workspace, the rest of the fee limit is released, the event is written; all
// or nothing. ok is false when the row did not allow it (it is over, or under
// review). A fee above the limit is paid by the operator.
func (s *Store) PostWithdrawal(ctx context.Context, post PostWithdrawal) (row db.Withdrawal, ok bool, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
		paid := int64(min(post.FeeMsat, post.MaxFeeMsat))
		index := &post.PaymentIndex
		row, err = q.SucceedWithdrawal(ctx, db.SucceedWithdrawalParams{
			ID: post.ID, Preimage: post.Preimage[:], FeeMsat: paid, PaymentIndex: index,
			HtlcAttempts: int32(post.HTLCAttempts), Resolving: post.Resolution != 0,
		})
		if err != nil {
			return swap("post", post.ID, err)
		}
		if err := applied(ctx, q, post.Resolution, "posted"); err != nil {
			return err
		}
		if _, err := ledger.Post(ctx, tx, postEntries(row, payments.Msat(paid), post.FeeMsat)); err != nil {
			return err
		}

		return s.tell(ctx, q, row)
	})
	if ok = err == nil; ok {
		s.Metrics.ended(row)
	}
	if errors.Is(err, errSwapLost) {
		err = nil
	}

	return row, ok, err
}

// postEntries takes amount and fee out of what was locked, and releases the
// rest.
func postEntries(row db.Withdrawal, paid, fee payments.Msat) []ledger.Entry {
	entry := func(kind ledger.Kind, debit, credit ledger.Account, amount payments.Msat) ledger.Entry {
		return ledger.Entry{
			WorkspaceID: row.WorkspaceID, Kind: kind, Ref: row.ID, Debit: debit, Credit: credit, AmountMsat: amount,
		}
	}
	all := []ledger.Entry{
		entry(ledger.KindWithdrawalPost, ledger.Locked, ledger.LightningClearing, payments.Msat(row.AmountMsat)),
		entry(ledger.KindWithdrawalFee, ledger.Locked, ledger.RoutingFee, paid),
		entry(ledger.KindWithdrawalRelease, ledger.Locked, ledger.Available, payments.Msat(row.MaxFeeMsat)-paid),
		entry(ledger.KindExcessFee, ledger.OperatorLoss, ledger.RoutingFee, fee-paid),
	}
	entries := all[:0]
	for _, e := range all {
		if e.AmountMsat > 0 {
			entries = append(entries, e)
		}
	}

	return entries
}

// VoidWithdrawal says why a withdrawal failed.
type VoidWithdrawal struct {
	ID      string
	Failure payments.FailureCode
	// Sends is the number of send rows that was judged by.
	Sends int
	// AtOnce is the void on the stream of the only send: a freeze holds it up.
	AtOnce bool
	// PaymentIndex and HTLCAttempts are the node's record, if it has one.
	PaymentIndex *int64
	HTLCAttempts int
	// Left is the payment that the node keeps beside the void; nil for none.
	Left *LeftPayment
	// Resolution is the operator's command that this carries out; 0 for none.
	Resolution int64
}

// LeftPayment is a payment of a withdrawal's hash that outlives its void: in
// flight, or succeeded, which is the operator's loss.
type LeftPayment struct {
	Index      int64
	CreatedNS  int64
	Succeeded  bool
	AmountMsat payments.Msat
	FeeMsat    payments.Msat
}

// VoidWithdrawal ends a withdrawal as failed and returns all that was locked.
// A charge that it had claimed is free again. ok is false when the row did not
// allow it: it is over, under review, was sent once more, or its node has gone
// back in time.
func (s *Store) VoidWithdrawal(ctx context.Context, void VoidWithdrawal) (row db.Withdrawal, ok bool, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
		// A freeze that is being written is waited for, as by a send.
		if err := q.EnterPayoutGate(ctx); err != nil {
			return fmt.Errorf("enter the payout gate: %w", err)
		}
		row, err = q.FailWithdrawal(ctx, db.FailWithdrawalParams{
			ID: void.ID, FailureCode: string(void.Failure), Sends: int32(void.Sends), AtOnce: void.AtOnce,
			PaymentIndex: void.PaymentIndex, HtlcAttempts: int32(void.HTLCAttempts), Resolving: void.Resolution != 0,
		})
		if err != nil {
			return swap("void", void.ID, err)
		}
		if err := unclaim(ctx, q, row); err != nil {
			return err
		}
		if err := applied(ctx, q, void.Resolution, "voided: "+string(void.Failure)); err != nil {
			return err
		}
		if err := leave(ctx, tx, q, row, void.Left); err != nil {
			return err
		}
		if _, err := ledger.Post(ctx, tx, []ledger.Entry{{
			WorkspaceID: row.WorkspaceID, Kind: ledger.KindWithdrawalVoid, Ref: row.ID,
			Debit: ledger.Locked, Credit: ledger.Available, AmountMsat: payments.Msat(row.AmountMsat + row.MaxFeeMsat),
		}}); err != nil {
			return err
		}

		return s.tell(ctx, q, row)
	})
	if ok = err == nil; ok {
		s.Metrics.ended(row)
	}
	if errors.Is(err, errSwapLost) {
		err = nil
	}

	return row, ok, err
}

// leave notes the payment that the node keeps beside a void, as the sweep of its
// list would later: from the void on its hash is refused. One that succeeded is
// booked, unless it is in the books already.
func leave(ctx context.Context, tx pgx.Tx, q *db.Queries, row db.Withdrawal, left *LeftPayment) error {
	if left == nil {
		return nil
	}
	status := "in_flight"
	if left.Succeeded {
		status = "succeeded"
	}
	noted, err := q.NoteStrays(ctx, db.NoteStraysParams{
		Node: row.Node, PaymentIndexes: []int64{left.Index}, CreatedNs: []int64{left.CreatedNS},
		PaymentHashes: [][]byte{row.PaymentHash}, WithdrawalIds: []string{row.ID}, Statuses: []string{status},
		AmountsMsat: []int64{int64(left.AmountMsat)}, FeesMsat: []int64{int64(left.FeeMsat)},
	})
	if err != nil {
		return fmt.Errorf("note the payment that %s leaves: %w", row.ID, err)
	}
	if len(noted) == 0 || !left.Succeeded {
		return nil
	}
	if _, err := q.CloseStray(ctx, db.CloseStrayParams{
		State: "booked", Node: row.Node, PaymentIndex: left.Index, CreatedNs: left.CreatedNS,
	}); err != nil {
		return fmt.Errorf("close the payment that %s leaves: %w", row.ID, err)
	}
	_, err = ledger.Post(ctx, tx, []ledger.Entry{LateEntry(row.WorkspaceID, row.ID, *left)})

	return err
}

// LateEntry books what the node paid for a withdrawal that is void.
func LateEntry(workspaceID, withdrawalID string, paid LeftPayment) ledger.Entry {
	return ledger.Entry{
		WorkspaceID: workspaceID, Kind: ledger.KindLatePayment,
		Ref:   fmt.Sprintf("%s/%d/%d", withdrawalID, paid.Index, paid.CreatedNS),
		Debit: ledger.OperatorLoss, Credit: ledger.LightningClearing, AmountMsat: paid.AmountMsat + paid.FeeMsat,
	}
}

// unclaim gives a charge back that a book transfer had claimed.
func unclaim(ctx context.Context, q *db.Queries, row db.Withdrawal) error {
	if row.ChargeID == nil {
		return nil
	}
	_, err := q.UnclaimCharge(ctx, db.UnclaimChargeParams{ChargeID: *row.ChargeID, WithdrawalID: row.ID})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("give back %s: %w", *row.ChargeID, err)
	}

	return nil
}

// ErrChargeMoved means that a charge is not what its claim by a book transfer
// left it: nothing was booked.
var ErrChargeMoved = errors.New("store: the claimed charge is not pending under its claim")

// ErrPayoutsFrozen means that a freeze was there first: nothing was booked.
var ErrPayoutsFrozen = errors.New("store: payouts are frozen")

// PayByBook is the last step of a book transfer: charge paid, withdrawal
// succeeded, both sides of the money, both events; all or nothing. preimage is
// the charge's. ok is false when the withdrawal did not allow it;
// ErrChargeMoved when the charge did not, ErrPayoutsFrozen when a freeze did
// not: to book is to send.
func (s *Store) PayByBook(ctx context.Context, id, chargeID string, preimage [32]byte) (ok bool, err error) {
	var row db.Withdrawal
	var paid db.Charge
	err = s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
		if err := q.EnterPayoutGate(ctx); err != nil {
			return fmt.Errorf("enter the payout gate: %w", err)
		}
		row, err = q.SucceedWithdrawal(ctx, db.SucceedWithdrawalParams{ID: id, Preimage: preimage[:]})
		if err != nil {
			return swap("book", id, err)
		}
		if err := notFrozen(ctx, q, row); err != nil {
			return err
		}
		paid, err = q.PayChargeByBook(ctx, db.PayChargeByBookParams{ChargeID: chargeID, WithdrawalID: id})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrChargeMoved
		}
		if err != nil {
			return fmt.Errorf("pay %s by book: %w", chargeID, err)
		}
		amount := payments.Msat(row.AmountMsat)
		if _, err := ledger.Post(ctx, tx, []ledger.Entry{{
			WorkspaceID: row.WorkspaceID, Kind: ledger.KindWithdrawalBook, Ref: row.ID,
			Debit: ledger.Locked, Credit: ledger.InternalClearing, AmountMsat: amount,
		}, {
			WorkspaceID: paid.WorkspaceID, Kind: ledger.KindChargeSettled, Ref: paid.ID,
			Debit: ledger.InternalClearing, Credit: ledger.Available, AmountMsat: amount,
		}}); err != nil {
			return err
		}
		for _, changed := range []string{row.ID, paid.ID} {
			if err := q.NotifyChange(ctx, changed); err != nil {
				return fmt.Errorf("notify: %w", err)
			}
		}

		return s.WriteEvents(ctx, q, []NewEvent{s.ended(row), {
			WorkspaceID: paid.WorkspaceID, Type: payments.EventChargePaid, ResourceID: paid.ID, Object: s.Charge(paid),
		}})
	})
	if ok = err == nil; ok {
		s.Metrics.ended(row)
		s.Metrics.booked(paid)
	}
	if errors.Is(err, errSwapLost) {
		err = nil
	}

	return ok, err
}

// notFrozen is nil when no freeze stops a withdrawal. Who has entered the payout
// gate reads the last word.
func notFrozen(ctx context.Context, q *db.Queries, row db.Withdrawal) error {
	why, err := q.WhyFrozen(ctx, db.WhyFrozenParams{WorkspaceID: row.WorkspaceID, Node: row.Node})
	if err != nil {
		return fmt.Errorf("read why payouts are frozen: %w", err)
	}
	if why != "" {
		return ErrPayoutsFrozen
	}

	return nil
}

// ended is the event of a withdrawal that is over. The preimage is left out:
// it is shown to keys that may read withdrawals, and events go elsewhere.
func (s *Store) ended(row db.Withdrawal) NewEvent {
	withdrawal := s.Withdrawal(row)
	withdrawal.Preimage = nil

	return NewEvent{
		WorkspaceID: row.WorkspaceID, Type: payments.EventType("withdrawal." + row.Status),
		ResourceID: row.ID, Object: withdrawal,
	}
}

// tell notifies who waits for the withdrawal and writes its event.
func (s *Store) tell(ctx context.Context, q *db.Queries, row db.Withdrawal) error {
	if err := q.NotifyChange(ctx, row.ID); err != nil {
		return fmt.Errorf("notify: %w", err)
	}

	return s.WriteEvents(ctx, q, []NewEvent{s.ended(row)})
}

// applied notes that an operator's command was carried out, in the transaction
// that does it; one that is judged already undoes it.
func applied(ctx context.Context, q *db.Queries, resolution int64, detail string) error {
	if resolution == 0 {
		return nil
	}
	n, err := q.CloseResolution(ctx, db.CloseResolutionParams{ID: resolution, Outcome: "applied", Detail: detail})
	if err != nil {
		return fmt.Errorf("close resolution %d: %w", resolution, err)
	}
	if n == 0 {
		return errSwapLost
	}

	return nil
}

// swap names the error of a compare-and-swap.
func swap(what, id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errSwapLost
	}

	return fmt.Errorf("%s %s: %w", what, id, err)
}
