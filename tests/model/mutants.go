package model

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// Mutant is a product with a fault, which the model must find: what finds
// nothing in it proves nothing of the product without.
type Mutant int

// The mutants.
const (
	none Mutant = iota
	// voidOnError takes a send without an answer for one that failed.
	voidOnError
	// creditTwice books the credit of a charge once more.
	creditTwice
	// cancelBelieved takes a cancel without an answer for one that was done.
	cancelBelieved
	// noSwap voids whatever the row says by then.
	noSwap
	// eventLater writes what a void says after its transaction.
	eventLater
)

// payouts are the activities of withdrawals, with the faults of a mutant.
type payouts struct {
	*activities.Withdrawals

	w *world
}

// voidUnproven voids what nobody knows the end of.
func (p payouts) voidUnproven(ctx context.Context, id string, s workflows.WithdrawalState) (workflows.WithdrawalState, error) {
	_, _, err := p.Store.VoidWithdrawal(ctx, store.VoidWithdrawal{ID: id, Sends: s.Sends, Failure: payments.FailureNodeError})
	if err != nil {
		return s, err
	}

	return p.LookAtWithdrawal(ctx, id)
}

// FollowWithdrawal has the faults of noSwap and eventLater.
func (p payouts) FollowWithdrawal(ctx context.Context, id string) (workflows.WithdrawalState, error) {
	if p.w.mutant != noSwap && p.w.mutant != eventLater {
		return p.Withdrawals.FollowWithdrawal(ctx, id)
	}
	before, err := p.Store.GetWithdrawal(ctx, id)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	payment, err := p.Node.TrackPayment(ctx, [32]byte(before.PaymentHash))
	if err != nil || payment.State != "failed" || payments.WithdrawalStatus(before.Status).Closed() {
		return p.Withdrawals.FollowWithdrawal(ctx, id)
	}
	if p.w.mutant == noSwap {
		err = p.voidAnyway(ctx, before)
	} else {
		err = p.voidSilently(ctx, before)
	}
	if err != nil {
		return workflows.WithdrawalState{}, err
	}

	return p.LookAtWithdrawal(ctx, id)
}

// voidAnyway is a void without its compare-and-swap.
func (p payouts) voidAnyway(ctx context.Context, row db.Withdrawal) error {
	return p.Store.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		if _, err := tx.Exec(ctx, `UPDATE withdrawal SET status = 'failed', failure_code = 'timeout', preimage = NULL, fee_msat = 0,
			completed_at = now(), next_check_at = NULL, review_reason = NULL WHERE id = $1`, row.ID); err != nil {
			return err
		}
		if err := p.release(ctx, tx, row); err != nil {
			return err
		}
		after, err := q.GetWithdrawal(ctx, row.ID)
		if err != nil {
			return err
		}
		object := p.Store.Withdrawal(after)

		return p.Store.WriteEvents(ctx, q, []store.NewEvent{{
			WorkspaceID: row.WorkspaceID, Type: payments.EventWithdrawalFailed, ResourceID: row.ID, Object: object,
		}})
	})
}

// voidSilently is a void whose event is left for later.
func (p payouts) voidSilently(ctx context.Context, row db.Withdrawal) error {
	return p.Store.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		if _, err := q.FailWithdrawal(ctx, db.FailWithdrawalParams{ID: row.ID, FailureCode: "timeout", Sends: row.Sends}); err != nil {
			return err
		}

		return p.release(ctx, tx, row)
	})
}

func (p payouts) release(ctx context.Context, tx pgx.Tx, row db.Withdrawal) error {
	_, err := ledger.Post(ctx, tx, []ledger.Entry{{
		WorkspaceID: row.WorkspaceID, Kind: ledger.KindWithdrawalVoid, Ref: row.ID,
		Debit: ledger.Locked, Credit: ledger.Available, AmountMsat: payments.Msat(row.AmountMsat + row.MaxFeeMsat),
	}})

	return err
}

// Mutants are all of them.
func Mutants() []Mutant {
	return []Mutant{voidOnError, creditTwice, cancelBelieved, noSwap, eventLater}
}

// String says what is wrong with it.
func (m Mutant) String() string {
	return map[Mutant]string{
		none: "none", voidOnError: "a send without an answer has failed",
		creditTwice: "a credit is booked twice", cancelBelieved: "a cancel without an answer was done",
		noSwap: "a void without compare-and-swap", eventLater: "an event outside its transaction",
	}[m]
}
