package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// quietSend is how long a send may take without a heartbeat: most are over
	// by then and cost none.
	quietSend = 2 * time.Second
	// sentTimeout bounds what is written after a send, whose own context may
	// have ended.
	sentTimeout = 5 * time.Second
)

// SendWithdrawal fences, takes a licence to send and pays. It is tried once:
// whatever goes wrong is "unknown", and the run follows. The decision to send
// was made by a number of send rows; with another number it sends nothing.
func (a *Withdrawals) SendWithdrawal(ctx context.Context, in workflows.SendWithdrawal) (workflows.WithdrawalState, error) {
	stop := beatLater(ctx)
	defer stop()
	look, err := a.look(ctx, in.WithdrawalID)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	row := look.Withdrawal
	if !sendable(look, in.Sends) {
		return a.state(ctx, look)
	}
	if err := a.ours(row); err != nil {
		return workflows.WithdrawalState{}, err
	}
	if look.Expired {
		return a.expiredUnsent(ctx, look)
	}
	predecessor, state, err := a.fence(ctx, look)
	if err != nil || state != nil {
		return deref(state), err
	}
	licence, err := a.takeLicence(ctx, look, predecessor)
	if errors.Is(err, pgx.ErrNoRows) {
		// Frozen, expired meanwhile, or another was first: look again.
		return a.notLicensed(ctx, row.ID)
	}
	if err != nil {
		return workflows.WithdrawalState{}, err
	}

	return a.send(ctx, row, licence)
}

func deref(state *workflows.WithdrawalState) workflows.WithdrawalState {
	if state == nil {
		return workflows.WithdrawalState{}
	}

	return *state
}

// sendable reports whether a row still is as the decision to send saw it.
func sendable(look db.LookAtWithdrawalRow, sends int) bool {
	row := look.Withdrawal

	return row.Kind == string(payments.WithdrawalLightning) && !payments.WithdrawalStatus(row.Status).Closed() &&
		row.ReviewReason == nil && !look.ToResolve && int(row.Sends) == sends
}

// expiredUnsent ends a withdrawal whose invoice expired: without any send row
// nothing was sent and, the row being failed, nothing will be. The node has the
// last word: a Postgres that was restored may have lost the send row.
func (a *Withdrawals) expiredUnsent(ctx context.Context, look db.LookAtWithdrawalRow) (workflows.WithdrawalState, error) {
	row := look.Withdrawal
	if row.Sends > 0 {
		return a.state(ctx, look)
	}
	found, err := a.Node.TrackPayment(ctx, lightning.Hash(row.PaymentHash))
	none := errors.Is(err, lightning.ErrPaymentNotFound)
	if err != nil && !none {
		return a.later(ctx, look, retrySoon, "the invoice has expired, and the node does not say what it has of it")
	}
	if !none && found.State != lightning.PaymentFailed {
		return a.review(ctx, row, foreign(found))
	}
	if wait := settleGrace - a.Node.SteadyFor(); wait > 0 {
		return a.later(ctx, look, wait, "the invoice has expired, and the node was in trouble a moment ago")
	}
	if err := a.notBackInTime(ctx, row.Node); err != nil {
		return a.later(ctx, look, frozenPause, nothingVoided)
	}
	_, ok, err := a.Store.VoidWithdrawal(ctx, store.VoidWithdrawal{ID: row.ID, Failure: payments.FailureNotDispatched})
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if !ok {
		return a.notLicensed(ctx, row.ID)
	}

	return a.LookAtWithdrawal(ctx, row.ID)
}

// foreign says that the node pays, or has paid, what no send row of ours asked
// for.
func foreign(found lightning.Payment) string {
	return "the node has a payment of this hash that is not ours: " + string(found.State)
}

// fence reads what the node has of this hash before we send. A state is
// returned where nothing may be sent now.
func (a *Withdrawals) fence(ctx context.Context, look db.LookAtWithdrawalRow,
) (predecessor *lightning.Payment, state *workflows.WithdrawalState, err error) {
	row := look.Withdrawal
	held := func(state workflows.WithdrawalState, err error) (*lightning.Payment, *workflows.WithdrawalState, error) {
		return nil, &state, err
	}
	found, err := a.Node.TrackPayment(ctx, lightning.Hash(row.PaymentHash))
	switch {
	case errors.Is(err, lightning.ErrPaymentNotFound):
	case err != nil:
		a.Log.WarnContext(ctx, "the node does not say what it has of a payment: not sent", "withdrawal", row.ID, "error", err)

		return held(a.later(ctx, look, retrySoon, "the node is away, nothing was sent"))
	case row.Sends > 0 && isOurs(look, found):
		// What is there is ours: nothing to send.
		return held(a.state(ctx, look))
	case row.Sends == 0 && found.State != lightning.PaymentFailed:
		return held(a.review(ctx, row, foreign(found)))
	default:
		predecessor = &found
	}
	if a.comingUp(ctx, row) {
		return held(a.later(ctx, look, comingUpPause, "the node has just started and waits for its channels, nothing was sent"))
	}
	if why := lostRecord(row); why != "" {
		return held(a.review(ctx, row, why))
	}
	// Before the first send nothing rests on what the node lacks, and a node
	// that is known to have gone back in time gets no licence.
	if row.Sends > 0 {
		if err := a.notBackInTime(ctx, row.Node); err != nil {
			return held(a.later(ctx, look, frozenPause, "the node went back in time, or does not say: nothing was sent"))
		}
	}

	return predecessor, nil, nil
}

// comingUp reports whether a payment would fail only because the node's
// channels are not back yet. A node that does not say is not ready either.
func (a *Withdrawals) comingUp(ctx context.Context, row db.Withdrawal) bool {
	up, err := a.Node.ComingUp(ctx)
	if err != nil {
		a.Log.InfoContext(ctx, "the node does not say whether its channels are back: not sent", "withdrawal", row.ID, "error", err)
	}

	return up || err != nil
}

// licence is the right to one call of SendPayment.
type licence struct {
	number int32
	// from is the moment before the transaction that made its deadline by
	// Postgres' clock: counted from there, our own cannot be too generous.
	from moment
}

// moment is an instant by the machine's two clocks: one that stands still while
// the machine is suspended, and the wall clock, which can be set back.
type moment struct {
	running time.Duration
	wall    time.Time
}

// began is where moment.running counts from.
var began = time.Now()

func (a *Withdrawals) moment() moment {
	if a.now != nil {
		return a.now()
	}
	now := time.Now()

	return moment{running: now.Sub(began), wall: now.Round(0)}
}

// left is what is left of a licence by the clock that leaves less.
func (a *Withdrawals) left(l licence) time.Duration {
	now := a.moment()

	return sendWindow - max(now.running-l.from.running, now.wall.Sub(l.from.wall))
}

func (a *Withdrawals) takeLicence(ctx context.Context, look db.LookAtWithdrawalRow, predecessor *lightning.Payment,
) (licence, error) {
	params := db.AddSendParams{ID: look.Withdrawal.ID, Sends: look.Withdrawal.Sends, WindowS: sendWindow.Seconds()}
	if predecessor != nil {
		index := int64(predecessor.Index)
		params.PredecessorIndex, params.PredecessorCreatedNs = &index, &predecessor.CreatedNS
	}
	from := a.moment()
	var sent db.AddSendRow
	err := a.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) (err error) {
		if err = q.EnterPayoutGate(ctx); err != nil {
			return fmt.Errorf("enter the payout gate: %w", err)
		}
		sent, err = q.AddSend(ctx, params)

		return err
	})

	return licence{number: sent.Sends, from: from}, err
}

// notLicensed tells what stands in the way of a send.
func (a *Withdrawals) notLicensed(ctx context.Context, id string) (workflows.WithdrawalState, error) {
	look, err := a.look(ctx, id)
	if err != nil {
		return workflows.WithdrawalState{}, err
	}
	if look.Frozen {
		return a.later(ctx, look, frozenPause, "payouts are frozen, nothing is sent")
	}

	return a.state(ctx, look)
}

// send makes the one call that the licence allows and reads its stream.
func (a *Withdrawals) send(ctx context.Context, row db.Withdrawal, l licence) (workflows.WithdrawalState, error) {
	request := lightning.SendRequest{
		Bolt11: row.Bolt11, FeeLimitMsat: payments.Msat(row.MaxFeeMsat), CLTVLimit: a.Policy.CLTVLimitBlocks,
		Timeout: time.Duration(a.Policy.TimeoutS) * time.Second, MaxParts: a.Policy.MaxParts,
	}
	if row.Amountless {
		request.AmountMsat = payments.Msat(row.AmountMsat)
	}
	sendCtx, cancel := context.WithTimeout(ctx, a.left(l))
	defer cancel()
	defer stopsWithWorker(ctx, cancel)()
	// Whoever was paused since its licence does not call any more.
	if a.left(l) <= 0 {
		return a.sent(ctx, row, l, nil, context.DeadlineExceeded)
	}
	last, err := a.Node.SendPayment(sendCtx, request)

	return a.sent(ctx, row, l, last, err)
}

// sent records what came of a send. It runs on after the activity's context:
// what is known is worth more than what must be found out again.
func (a *Withdrawals) sent(ctx context.Context, row db.Withdrawal, l licence, last *lightning.Payment, sendErr error,
) (workflows.WithdrawalState, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sentTimeout)
	defer cancel()
	if sendErr == nil && last != nil {
		switch last.State {
		case lightning.PaymentSucceeded:
			row.Sends = l.number // As the licence left it.

			return a.post(ctx, row, *last, 0)
		case lightning.PaymentFailed:
			if l.number == 1 {
				if state, done, err := a.voidAtOnce(ctx, row, *last); done || err != nil {
					return state, err
				}
			}
		case lightning.PaymentInFlight:
		}
	}
	if sendErr != nil {
		a.Log.InfoContext(ctx, "a send ended without a final answer", "withdrawal", row.ID, "send", l.number, "error", sendErr)
	}
	if err := a.Store.EndSend(ctx, db.EndSendParams{ID: row.ID, Number: l.number, Outcome: outcome(last, sendErr)}); err != nil {
		return workflows.WithdrawalState{}, fmt.Errorf("note the end of send %d of %s: %w", l.number, row.ID, err)
	}

	return a.LookAtWithdrawal(ctx, row.ID)
}

// outcome is a send's answer in a word.
func outcome(last *lightning.Payment, err error) string {
	switch {
	case errors.Is(err, lightning.ErrPaymentRefused):
		return "refused"
	case errors.Is(err, lightning.ErrPaymentExists):
		return "exists"
	case last != nil:
		return string(last.State)
	}

	return "unknown"
}

// voidAtOnce ends a withdrawal whose only send said FAILED on its own stream:
// nobody else may send, so nothing can succeed any more. done is false where a
// freeze, a review or a node that went back in time is in the way.
func (a *Withdrawals) voidAtOnce(ctx context.Context, row db.Withdrawal, failed lightning.Payment,
) (state workflows.WithdrawalState, done bool, err error) {
	if err := a.notBackInTime(ctx, row.Node); err != nil {
		return state, false, nil //nolint:nilerr // To follow is the answer.
	}
	index := int64(failed.Index)
	_, ok, err := a.Store.VoidWithdrawal(ctx, store.VoidWithdrawal{
		ID: row.ID, Failure: a.failure(ctx, row, failed), Sends: 1, AtOnce: true,
		PaymentIndex: &index, HTLCAttempts: failed.Attempts,
	})
	if err != nil || !ok {
		return state, false, err
	}
	state, err = a.LookAtWithdrawal(ctx, row.ID)

	return state, true, err
}

// failure is the code of a failed payment. "No route" of a payment with a fee
// limit may mean a route that costs more: the node's graph tells.
func (a *Withdrawals) failure(ctx context.Context, row db.Withdrawal, failed lightning.Payment) payments.FailureCode {
	code := failureOf(failed.Reason)
	if failed.Reason != lightning.ReasonNoRoute {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, warningsTimeout)
	defer cancel()
	fee, err := a.Node.EstimateFee(ctx, lightning.RouteRequest{
		Bolt11: row.Bolt11, AmountMsat: payments.Msat(row.AmountMsat), CLTVLimit: a.Policy.CLTVLimitBlocks,
	})
	if err == nil && int64(fee) > row.MaxFeeMsat {
		return payments.FailureInsufficientFee
	}

	return code
}

// isOurs reports whether a record of the node was made by one of our sends:
// any but the one that was there before the first.
func isOurs(look db.LookAtWithdrawalRow, found lightning.Payment) bool {
	return look.PredecessorIndex != int64(found.Index) || look.PredecessorCreatedNs != found.CreatedNS
}

// beatLater heartbeats once a send takes long, so that the death of its worker
// is noticed.
func beatLater(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-time.After(quietSend):
		case <-ended:
			return
		}
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		for {
			activity.RecordHeartbeat(ctx)
			select {
			case <-ticker.C:
			case <-ended:
				return
			}
		}
	}()

	return func() { close(ended) }
}

// stopsWithWorker ends the reading of a stream when the worker stops: the
// payment goes on, and another worker follows it.
func stopsWithWorker(ctx context.Context, cancel context.CancelFunc) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-activity.GetWorkerStopChannel(ctx):
			cancel()
		case <-ended:
		}
	}()

	return func() { close(ended) }
}
