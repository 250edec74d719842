package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// noHTLCsAlert is how long a payment may be in flight without an HTLC before
// somebody should look (lnd issues #8178, #9461, #10130).
const noHTLCsAlert = 5 * time.Minute

// FollowWithdrawal reads once what the node says of a payment that was sent,
// and does what that allows: post, void, send again, or come back later.
func (a *Withdrawals) FollowWithdrawal(ctx context.Context, id string) (workflows.WithdrawalState, error) {
	look, err := a.look(ctx, id)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	row := look.Withdrawal
	state, err := a.state(ctx, look)
	if err != nil || state.Next != workflows.StepFollow {
		return state, err
	}
	if err := a.ours(row); err != nil {
		return workflows.WithdrawalState{}, err
	}
	payment, err := a.Node.TrackPayment(ctx, lightning.Hash(row.PaymentHash))
	none := errors.Is(err, lightning.ErrPaymentNotFound)
	switch {
	case err != nil && !none:
		a.Log.WarnContext(ctx, "the node does not say what became of a payment", "withdrawal", id, "error", err)

		return a.comeBack(ctx, look, reading{next: minFollow, note: "the node does not answer, nothing is concluded"})
	case none || !isOurs(look, payment):
		return a.judge(ctx, look, lightning.Payment{}, false)
	case payment.State == lightning.PaymentSucceeded:
		return a.post(ctx, row, payment, 0)
	case payment.State == lightning.PaymentFailed:
		return a.judge(ctx, look, payment, true)
	}

	return a.inFlight(ctx, look, payment)
}

// reading is what a look at the node leaves in the row.
type reading struct {
	payment lightning.Payment
	// checked says that the node answered; noHTLCs that it said in flight, with
	// none.
	checked, noHTLCs bool
	// absence is what the channels say of its HTLC: since when they certainly have
	// none is kept while nobody is sure.
	absence absence
	// finding is the first of two equal readings; "" forgets the last one.
	// stillHolds says that it was made before and keeps its time.
	finding    string
	stillHolds bool
	next       time.Duration
	note       string
}

// comeBack writes a reading and tells the run when to read again.
func (a *Withdrawals) comeBack(ctx context.Context, look db.LookAtWithdrawalRow, r reading) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	params := db.NoteProgressParams{
		ID: row.ID, Sends: row.Sends, Checked: r.checked, HtlcAttempts: int32(r.payment.Attempts),
		HtlcExpiryHeight: int64(r.payment.ExpiryHeight), NoHtlcs: r.noHTLCs, NextInS: r.next.Seconds(),
		Absent: r.absence == absent, KeepAbsent: r.absence == unsure,
	}
	if r.payment.Index > 0 {
		index := int64(r.payment.Index)
		params.PaymentIndex = &index
		// What was seen once must be there ever after, whoever saw it first.
		if err := a.Store.RaiseHighestPayment(ctx, db.RaiseHighestPaymentParams{Name: row.Node, PaymentIndex: index}); err != nil {
			return workflows.WithdrawalState{}, fmt.Errorf("raise the payment index of %s: %w", row.Node, err)
		}
	}
	if r.finding != "" {
		params.Finding, params.StillHolds = &r.finding, r.stillHolds
	}
	if err := a.Store.NoteProgress(ctx, params); err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("note the progress of %s: %w", row.ID, err)
	}
	state := baseState(row)
	state.Status = payments.WithdrawalFollowing
	state.Next, state.NextIn, state.Note = workflows.StepFollow, r.next, r.note

	return state, nil
}

// inFlight waits for the end: the longer it takes, the rarer the looks. A
// change on the node's stream ends the pause.
func (a *Withdrawals) inFlight(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment,
) (workflows.WithdrawalState, error) {
	age := time.Duration(look.SentMsAgo) * time.Millisecond
	next := min(max(age/6, minFollow), maxFollow)
	note := fmt.Sprintf("in flight for %s after %d attempts, HTLCs expire at height %d",
		age.Round(time.Second), payment.Attempts, payment.ExpiryHeight)
	what, absence := a.withoutHTLCs(ctx, look, payment)
	if what != "" {
		note = fmt.Sprintf("%s, for %s after %d attempts", what, age.Round(time.Second), payment.Attempts)
	}
	without := time.Duration(look.NoHtlcsMs) * time.Millisecond
	if what != "" && without >= noHTLCsAlert {
		a.Alerts.Raise(ctx, AlertNoHTLCs, "a payment is "+what+"; "+noHTLCsAdvice(payment),
			"withdrawal", look.Withdrawal.ID, "for_s", int(without.Seconds()))
	}

	return a.comeBack(ctx, look, reading{
		payment: payment, checked: true, noHTLCs: what != "", absence: absence, next: next, note: note,
	})
}

// judge handles what could become a void or another send: our payment has
// failed, or the node has none of ours. Both are concluded from only at settled
// time, and a void only from two equal readings.
func (a *Withdrawals) judge(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment, failed bool,
) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	finding := "none"
	if failed {
		finding = fmt.Sprintf("failed %d %d", payment.Index, payment.CreatedNS)
	}
	r := reading{payment: payment, checked: true, absence: present, next: settleGrace, note: "the node says: " + finding}
	if wait := a.untilSettled(look); wait > 0 {
		r.next, r.note = max(wait, time.Second), r.note+", too early to conclude from"

		return a.comeBack(ctx, look, r)
	}
	if err := a.notBackInTime(ctx, row.Node); err != nil {
		r.next, r.note = frozenPause, "the node went back in time, or does not say: nothing is concluded"

		return a.comeBack(ctx, look, r)
	}
	if why := lostRecord(row); !failed && why != "" {
		return a.review(ctx, row, why)
	}
	if !failed && !look.Expired && !look.AllRefused {
		return a.sendAgain(ctx, look, r)
	}
	first := a.firstReading(look, finding)
	if first < settleGrace {
		r.finding, r.stillHolds, r.note = finding, first >= 0, r.note+", to be read again"
		r.next = settleGrace - max(first, 0)

		return a.comeBack(ctx, look, r)
	}

	return a.conclude(ctx, look, payment, failed)
}

// lostRecord says in words that the node, which has none of ours now, has told
// of it before: it may have been paid, and deleted, or lost with the node's data.
func lostRecord(row db.Withdrawal) string {
	if row.PaymentIndex == nil {
		return ""
	}

	return fmt.Sprintf("the node no longer has the payment that it had under index %d", *row.PaymentIndex)
}

// untilSettled is the time left to settled time: 15 s after the last deadline,
// by Postgres' clock, and after the node's first good answer since it last was
// in trouble, by our own.
func (a *Withdrawals) untilSettled(look db.LookAtWithdrawalRow) time.Duration {
	afterDeadline := time.Duration(look.DeadlineInMs)*time.Millisecond + settleGrace

	return max(afterDeadline, settleGrace-a.Node.SteadyFor())
}

// firstReading is how long ago the same was read for the first time, by the same
// number of send rows, with the node never in trouble since; negative if it was
// not.
func (a *Withdrawals) firstReading(look db.LookAtWithdrawalRow, finding string) time.Duration {
	row := look.Withdrawal
	ago := time.Duration(look.FoundMsAgo) * time.Millisecond
	if row.Finding == nil || *row.Finding != finding || row.FindingSends == nil || *row.FindingSends != row.Sends ||
		a.Node.SteadyFor() < ago {
		return -1
	}

	return ago
}

// sendAgain asks for another send row: the node has nothing of ours, the
// invoice lives, and the node deduplicates by hash. It backs off from 35 s,
// the earliest settled time, to 10 minutes.
func (a *Withdrawals) sendAgain(ctx context.Context, look db.LookAtWithdrawalRow, r reading) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	backOff := min((sendWindow+settleGrace)<<min(int(row.Sends)-1, 5), maxFollow)
	since := time.Duration(look.LastSentMsAgo) * time.Millisecond
	if since < backOff {
		r.next, r.note = min(backOff-since, maxFollow), r.note+", to be sent again"

		return a.comeBack(ctx, look, r)
	}
	state := baseState(row)
	state.Next, state.Note = workflows.StepSend, "to be sent again"

	return state, nil
}

// conclude voids.
func (a *Withdrawals) conclude(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment, failed bool,
) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	void := store.VoidWithdrawal{ID: row.ID, Sends: int(row.Sends), HTLCAttempts: payment.Attempts}
	switch {
	case failed:
		index := int64(payment.Index)
		void.Failure, void.PaymentIndex = a.failure(ctx, row, payment), &index
	case look.AllRefused:
		void.Failure = payments.FailureNodeError
	default:
		void.Failure = payments.FailureNotDispatched
	}

	return a.void(ctx, void)
}
