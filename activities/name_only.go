package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// What is in flight in name only: docs/decisions/0016-in-flight-in-name-only.md.
const (
	// askChannelsAfter is how long after the last send the node's channels are
	// asked whether they have the HTLCs of its record: fresh payments cost no
	// extra call.
	askChannelsAfter = 5 * time.Minute
	// noHTLCMargin is how long after the last attempt an HTLC may still be on
	// its way into a channel, twice over: lnd's switch keeps it for a link for
	// one minute at most (htlcswitch.mailboxdeliverytimeout), then fails it.
	noHTLCMargin = 2 * time.Minute
	// noHTLCAge is the least age of the last send at which channels without an
	// HTLC mean that there will be none.
	noHTLCAge = 3 * time.Minute
	// resultsAfter is how long after its start lnd has surely found the results of
	// what was under way before.
	resultsAfter = 3 * time.Minute
	// startMargin is what lnd's age, in whole seconds of its own clock, may be off
	// from Postgres' times.
	startMargin = 5 * time.Second
)

// absence is what the node's channels say of the HTLC of a payment that its
// record calls in flight.
type absence int

const (
	// unsure is the word of nobody, or of channels that could hide it.
	unsure absence = iota
	// present says that a channel has it, or that the record is another by now.
	present
	// absent says that no channel has it, nor will get it by itself.
	absent
)

// noneComes is how long after the last send no HTLC is on its way into a channel
// any more, within one life of lnd: it begins attempts until the timeout of the
// send.
func (a *Withdrawals) noneComes() time.Duration {
	return max(noHTLCAge, time.Duration(a.Policy.TimeoutS)*time.Second+noHTLCMargin)
}

// withoutHTLCs says in words that nothing holds a payment open that the node
// calls in flight; "" if something does, or may. The node's record of its
// attempts is not enough: it is written before the channel's, and lnd that is
// killed in between believes it for ever.
func (a *Withdrawals) withoutHTLCs(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment,
) (what string, found absence) {
	if payment.Pending == 0 {
		what = "in flight without HTLCs"
	}
	if time.Duration(look.LastSentMsAgo)*time.Millisecond < max(askChannelsAfter, a.noneComes()) {
		return what, unsure
	}
	htlcs, err := a.Node.HTLCsOf(ctx, payment.PaymentHash)
	switch {
	case err != nil:
		a.Log.WarnContext(ctx, "the node does not say what its channels hold", "withdrawal", look.Withdrawal.ID, "error", err)

		return what, unsure
	case htlcs.Found:
		return what, present
	case !htlcs.Certain:
		return what, unsure
	case what == "":
		what = "in flight in name only: no channel has its HTLC"
	}

	return what, absent
}

// noHTLCsAdvice is what an operator should do.
func noHTLCsAdvice(payment lightning.Payment) string {
	if payment.Settled > 0 {
		return partSettled(payment) + "; restart lnd"
	}

	return "restart lnd, and if that has not ended it after some minutes, see the runbook"
}

// partSettled says that the recipient has taken a part, and with it has the
// preimage: whatever becomes of the other parts, the payment has succeeded.
func partSettled(payment lightning.Payment) string {
	return fmt.Sprintf("%d of its parts settled: the recipient has the preimage, it is posted once lnd says succeeded, never voided",
		payment.Settled)
}

// notInNameOnly says why a payment that the node calls in flight may yet be
// paid; "" when no channel has its HTLC or will get one by itself, and lnd was
// started since and has found no result of it.
func (a *Withdrawals) notInNameOnly(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment,
) (why string, err error) {
	const inFlight = "the node says that the payment is in_flight"
	if payment.Settled > 0 {
		return inFlight + ", and " + partSettled(payment), nil
	}
	if wait := a.noneComes() - time.Duration(look.LastSentMsAgo)*time.Millisecond; wait > 0 {
		return fmt.Sprintf("%s, and its last send is too young to be in flight in name only: try again in %s",
			inFlight, max(wait, time.Second).Round(time.Second)), nil
	}
	htlcs, err := a.Node.HTLCsOf(ctx, lightning.Hash(look.Withdrawal.PaymentHash))
	switch {
	case err != nil:
		return fmt.Sprintf("%s, and does not say what its channels hold: %v", inFlight, err), nil
	case !htlcs.Found && !htlcs.Certain:
		return inFlight + ", and a channel may have its HTLC: " + htlcs.Why, nil
	}
	if err := a.Store.NoteAbsence(ctx, db.NoteAbsenceParams{
		ID: look.Withdrawal.ID, Sends: look.Withdrawal.Sends, Absent: !htlcs.Found,
	}); err != nil {
		return "", fmt.Errorf("note what the channels have of %s: %w", look.Withdrawal.ID, err)
	}
	if htlcs.Found {
		return inFlight + ", and a channel has its HTLC: it may still succeed", nil
	}
	if why := notStartedSince(look, htlcs.Up); why != "" {
		return inFlight + ", and no channel has its HTLC, " + why, nil
	}

	return "", nil
}

// notStartedSince says what lnd lacks for its word to count that a payment is in
// flight whose HTLC is on no channel. An lnd that ran when the HTLC went may have
// its result, settled too, and not know it before it is started again.
func notStartedSince(look db.LookAtWithdrawalRow, up time.Duration) string {
	absent := time.Duration(look.AbsentMs) * time.Millisecond
	switch {
	case look.Withdrawal.AbsentSince == nil || up+startMargin >= absent:
		return fmt.Sprintf("but lnd may have its result and find it only when it starts: restart lnd, and try again when it has run for %s",
			resultsAfter)
	case up < resultsAfter:
		return fmt.Sprintf("but lnd has just started and may find its result: try again in %s", resultsAfter-up)
	}

	return ""
}

// voidInNameOnly voids a payment that the node will call in flight for ever,
// once two readings of one command, 15 s apart, have found its HTLC on no
// channel, in a life of lnd that began after it was gone; the first one leaves
// the command open. Never without a command: lnd keeps the record, and if it is
// ever paid that is the operator's loss.
func (a *Withdrawals) voidInNameOnly(ctx context.Context, look db.LookAtWithdrawalRow, command db.WithdrawalResolution,
	payment lightning.Payment, void store.VoidWithdrawal,
) (workflows.WithdrawalState, error) {
	finding := fmt.Sprintf("no htlcs %d %d, command %d", payment.Index, payment.CreatedNS, command.ID)
	first := a.firstReading(look, finding)
	if first >= settleGrace {
		return a.voided(ctx, look, command, void)
	}
	state, err := a.state(ctx, look)
	if err != nil {
		return state, err
	}
	state.NextIn = max(settleGrace-max(first, 0), time.Second)
	state.Note = "an operator's command: no channel has the HTLC, to be read again"
	err = a.Store.NoteFinding(ctx, db.NoteFindingParams{
		ID: look.Withdrawal.ID, Sends: look.Withdrawal.Sends, Finding: finding, StillHolds: first >= 0,
		NextInS: state.NextIn.Seconds(),
	})
	if err != nil {
		return state, fmt.Errorf("note the finding of %s: %w", look.Withdrawal.ID, err)
	}

	return state, nil
}
