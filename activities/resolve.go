package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// thawFirst is why a void is refused that notBackInTime stops.
const thawFirst = "the node went back in time, or does not say: thaw it first"

// ResolveWithdrawal carries out what an operator wrote, if the node, read once
// more, allows it; else it says why not. Both are noted in the command's row.
func (a *Withdrawals) ResolveWithdrawal(ctx context.Context, id string) (workflows.WithdrawalState, error) {
	look, err := a.look(ctx, id)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	command, err := a.Store.OpenResolution(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return a.state(ctx, look)
	}
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("read the command for %s: %w", id, err)
	}
	if payments.WithdrawalStatus(look.Withdrawal.Status).Closed() {
		return a.refuse(ctx, id, command.ID, "the withdrawal is over: "+look.Withdrawal.Status)
	}
	if command.Action == "retry" {
		return a.retry(ctx, id, command.ID)
	}
	if look.Withdrawal.Kind == string(payments.WithdrawalBook) {
		return a.resolveBook(ctx, look, command)
	}

	return a.resolveLightning(ctx, look, command)
}

// refuse notes why a command was not carried out.
func (a *Withdrawals) refuse(ctx context.Context, id string, resolution int64, why string) (workflows.WithdrawalState, error) {
	if _, err := a.Store.CloseResolution(ctx, db.CloseResolutionParams{
		ID: resolution, Outcome: "refused", Detail: why,
	}); err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("refuse resolution %d: %w", resolution, err)
	}

	return a.LookAtWithdrawal(ctx, id)
}

// retry clears the review: the run starts from the row.
func (a *Withdrawals) retry(ctx context.Context, id string, resolution int64) (workflows.WithdrawalState, error) {
	err := a.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if _, err := q.EndReview(ctx, id); err != nil {
			return fmt.Errorf("end the review of %s: %w", id, err)
		}
		_, err := q.CloseResolution(ctx, db.CloseResolutionParams{
			ID: resolution, Outcome: "applied", Detail: "the run goes on from the row",
		})

		return err
	})
	if err != nil {
		return workflows.WithdrawalState{}, err
	}

	return a.LookAtWithdrawal(ctx, id)
}

// resolveBook voids a book transfer whose charge it did not pay.
func (a *Withdrawals) resolveBook(ctx context.Context, look db.LookAtWithdrawalRow, command db.WithdrawalResolution,
) (workflows.WithdrawalState, error) {
	if command.Action == "post" {
		return a.refuse(ctx, look.Withdrawal.ID, command.ID, "a book transfer is posted with its charge: use retry")
	}
	if err := a.ours(look.Withdrawal); err != nil {
		return workflows.WithdrawalState{}, err
	}
	if err := a.notBackInTime(ctx, look.Withdrawal.Node); err != nil {
		return a.refuse(ctx, look.Withdrawal.ID, command.ID, thawFirst)
	}

	return a.voided(ctx, look, command, store.VoidWithdrawal{Failure: payments.FailurePaidElsewhere})
}

// resolveLightning reads the node again and judges the command by it.
func (a *Withdrawals) resolveLightning(ctx context.Context, look db.LookAtWithdrawalRow, command db.WithdrawalResolution,
) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	if err := a.ours(row); err != nil {
		return workflows.WithdrawalState{}, err
	}
	payment, err := a.Node.TrackPayment(ctx, lightning.Hash(row.PaymentHash))
	none := errors.Is(err, lightning.ErrPaymentNotFound)
	if err != nil && !none {
		return a.later(ctx, look, retrySoon, "an operator's command waits for the node")
	}
	if command.Action == "post" {
		if none || payment.State != lightning.PaymentSucceeded {
			return a.refuse(ctx, row.ID, command.ID, "only a payment that succeeded is posted, the node says: "+word(payment, none))
		}

		return a.postCommanded(ctx, row, payment, command.ID)
	}
	void, why, err := a.mayVoid(ctx, look, payment, none)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if why != "" {
		return a.refuse(ctx, row.ID, command.ID, why)
	}
	if !none && payment.State == lightning.PaymentInFlight && row.Sends > 0 {
		return a.voidInNameOnly(ctx, look, command, payment, void)
	}

	return a.voided(ctx, look, command, void)
}

// postCommanded posts for an operator, unless the payment is in the books
// already: as the loss that it was after an earlier withdrawal's void, or as the
// node owner's own.
func (a *Withdrawals) postCommanded(ctx context.Context, row db.Withdrawal, payment lightning.Payment, command int64,
) (workflows.WithdrawalState, error) {
	booked, err := a.Store.IsClosedStray(ctx, db.IsClosedStrayParams{
		Node: row.Node, PaymentIndex: int64(payment.Index), CreatedNs: payment.CreatedNS,
	})
	if err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("look for the payment of %s among the strays: %w", row.ID, err)
	}
	if booked {
		return a.refuse(ctx, row.ID, command, "this payment is in the books already, as a loss or as the node owner's own: use void")
	}

	return a.post(ctx, row, payment, command)
}

// mayVoid says why an operator may not void; "" with the void when he may: the
// payment failed, there is none and the invoice has expired, nothing was ever
// sent and somebody else pays it, or it is in flight in name only (see
// voidInNameOnly, which reads that twice). A payment that cannot be posted,
// because it is of another amount, is given up: the operator's loss.
func (a *Withdrawals) mayVoid(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment, none bool,
) (void store.VoidWithdrawal, why string, err error) {
	row := look.Withdrawal
	// What was there before our first send is none of ours.
	none = none || row.Sends > 0 && !isOurs(look, payment)
	if wait := a.untilSettled(look); row.Sends > 0 && wait > 0 {
		return void, fmt.Sprintf("a send may still be under way: try again in %s", wait.Round(time.Second)), nil
	}
	if err := a.notBackInTime(ctx, row.Node); err != nil {
		return void, thawFirst, nil //nolint:nilerr // A refusal is the answer.
	}
	switch {
	case none && look.Expired:
		void.Failure = payments.FailureNotDispatched
	case none:
		return void, "the node has no payment, but the invoice has not expired: it could still be paid", nil
	case payment.State == lightning.PaymentFailed:
		void.Failure = failureOf(payment.Reason)
	case row.Sends == 0:
		void.Failure = payments.FailurePaidElsewhere
	case payment.State == lightning.PaymentInFlight && isOurs(look, payment):
		index := int64(payment.Index)
		void.Failure, void.PaymentIndex, void.HTLCAttempts = payments.FailureNodeError, &index, payment.Attempts
		void.Left = &store.LeftPayment{Index: index, CreatedNS: payment.CreatedNS, AmountMsat: payment.ValueMsat}
		why, err = a.notInNameOnly(ctx, look, payment)
	case row.ReviewReason != nil && payment.State == lightning.PaymentSucceeded && wrongAmount(row, payment):
		index := int64(payment.Index)
		void.Failure, void.PaymentIndex, void.HTLCAttempts = payments.FailurePaidElsewhere, &index, payment.Attempts
		void.Left = &store.LeftPayment{
			Index: index, CreatedNS: payment.CreatedNS, Succeeded: true,
			AmountMsat: payment.ValueMsat, FeeMsat: payment.FeeMsat,
		}
	default:
		why = "the node says that the payment is " + string(payment.State)
	}

	return void, why, err
}

func word(payment lightning.Payment, none bool) string {
	if none {
		return "no such payment"
	}

	return string(payment.State)
}

// voided carries out a void, or says that the row did not allow it.
func (a *Withdrawals) voided(ctx context.Context, look db.LookAtWithdrawalRow, command db.WithdrawalResolution,
	void store.VoidWithdrawal,
) (workflows.WithdrawalState, error) {
	void.ID, void.Sends, void.Resolution = look.Withdrawal.ID, int(look.Withdrawal.Sends), command.ID
	_, ok, err := a.Store.VoidWithdrawal(ctx, void)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if !ok {
		return a.refuse(ctx, void.ID, command.ID, "the row changed meanwhile, or its node went back in time")
	}
	switch left := void.Left; {
	case left == nil:
	case left.Succeeded:
		a.Alerts.Raise(ctx, AlertLatePayment, "an operator gave up a payment of another amount: the operator's loss",
			"withdrawal", void.ID, "amount_msat", int64(left.AmountMsat), "fee_msat", int64(left.FeeMsat))
	default:
		a.Alerts.Raise(ctx, AlertLatePayment, underWayAfterVoid, "withdrawal", void.ID)
	}

	return a.LookAtWithdrawal(ctx, void.ID)
}
