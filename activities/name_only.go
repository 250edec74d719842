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
)

// withoutHTLCs says in words that nothing holds a payment open that the node
// calls in flight, and what an operator should do; "" if something does, or may.
// The node's record of its attempts is not enough: it is written before the
// channel's, and lnd that is killed in between believes it for ever.
func (a *Withdrawals) withoutHTLCs(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment,
) (what, advice string) {
	switch {
	case payment.Pending == 0:
		return "in flight without HTLCs", "restart lnd"
	case time.Duration(look.LastSentMsAgo)*time.Millisecond < askChannelsAfter:
		return "", ""
	}
	advice = "no restart of lnd ends it, see the runbook"
	if payment.Settled > 0 {
		advice = partSettled(payment) + "; see the runbook"
	}
	htlcs, err := a.Node.HTLCsOf(ctx, payment.PaymentHash)
	if err != nil {
		a.Log.WarnContext(ctx, "the node does not say what its channels hold", "withdrawal", look.Withdrawal.ID, "error", err)
	}
	if err != nil || htlcs.Found || !htlcs.Certain {
		return "", ""
	}

	return "in flight in name only: no channel has its HTLC", advice
}

// partSettled says that the recipient has taken a part, and with it has the
// preimage: whatever becomes of the other parts, the payment has succeeded.
func partSettled(payment lightning.Payment) string {
	return fmt.Sprintf("%d of its parts settled, so that the recipient has the preimage: it is posted once lnd says succeeded, never voided",
		payment.Settled)
}

// notInNameOnly says why a payment that the node calls in flight may yet be;
// "" when no channel has its HTLC or will get one by itself.
func (a *Withdrawals) notInNameOnly(ctx context.Context, look db.LookAtWithdrawalRow, payment lightning.Payment) (why string) {
	const inFlight = "the node says that the payment is in_flight"
	if payment.Settled > 0 {
		return inFlight + ", and " + partSettled(payment)
	}
	// The node begins attempts until the timeout of the send.
	old := max(noHTLCAge, time.Duration(a.Policy.TimeoutS)*time.Second+noHTLCMargin)
	if wait := old - time.Duration(look.LastSentMsAgo)*time.Millisecond; wait > 0 {
		return fmt.Sprintf("%s, and its last send is too young to be in flight in name only: try again in %s",
			inFlight, max(wait, time.Second).Round(time.Second))
	}
	htlcs, err := a.Node.HTLCsOf(ctx, lightning.Hash(look.Withdrawal.PaymentHash))
	switch {
	case err != nil:
		return fmt.Sprintf("%s, and does not say what its channels hold: %v", inFlight, err)
	case htlcs.Found:
		return inFlight + ", and a channel has its HTLC: it may still succeed"
	case !htlcs.Certain:
		return inFlight + ", and a channel may have its HTLC: " + htlcs.Why
	}

	return ""
}

// voidInNameOnly voids a payment that the node will call in flight for ever,
// once two readings of one command, 15 s apart, have found its HTLC on no
// channel; the first one leaves the command open. Never without a command: lnd
// keeps the record, and if it is ever paid that is the operator's loss.
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
