package activities_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

// payoutLife is one withdrawal on its way through the real workflow with the
// real activities: what the outside world and the node make of it.
type payoutLife struct {
	outcomes []lightningtest.Outcome
	// settle and fail end a held payment five minutes later.
	settle, fail bool
	// book pays a charge of another workspace; outside says that somebody else
	// pays that first.
	book, outside bool
	// poor has no money to lock.
	poor bool
	// brief is an invoice that soon expires.
	brief bool
	// late says that the node may begin what it was sent as late as it likes,
	// and not only before the second reading that a void rests on.
	late   bool
	faults map[lightningtest.Method][]lightningtest.Fault
	// want is empty where the claim is refused.
	want payments.WithdrawalStatus
	fee  payments.Msat
}

func payoutLives() map[string]payoutLife {
	sends := func(faults ...lightningtest.Fault) map[lightningtest.Method][]lightningtest.Fault {
		return map[lightningtest.Method][]lightningtest.Fault{lightningtest.SendPayment: faults}
	}
	paid := []lightningtest.Outcome{lightningtest.Succeed(17)}
	never := make([]lightningtest.Fault, 20)
	for i := range never {
		never[i] = lightningtest.FailBefore
	}

	return map[string]payoutLife{
		"paid":        {outcomes: paid, want: payments.WithdrawalSucceeded, fee: 17},
		"no route":    {outcomes: []lightningtest.Outcome{lightningtest.Fail(lightning.ReasonNoRoute)}, want: payments.WithdrawalFailed},
		"answer lost": {outcomes: paid, faults: sends(lightningtest.FailAfter), want: payments.WithdrawalSucceeded, fee: 17},
		"answer of a failure lost": {
			outcomes: []lightningtest.Outcome{lightningtest.Fail(lightning.ReasonTimeout)},
			faults:   sends(lightningtest.FailAfter), want: payments.WithdrawalFailed,
		},
		"dispatched the third time": {
			outcomes: paid, faults: sends(lightningtest.FailBefore, lightningtest.FailBefore),
			want: payments.WithdrawalSucceeded, fee: 17,
		},
		"never dispatched": {outcomes: paid, brief: true, faults: sends(never...), want: payments.WithdrawalFailed},
		"held, settled": {
			outcomes: []lightningtest.Outcome{lightningtest.Hold(5)}, faults: sends(lightningtest.FailAfter),
			settle: true, want: payments.WithdrawalSucceeded, fee: 5,
		},
		"held, canceled": {
			outcomes: []lightningtest.Outcome{lightningtest.Hold(5)}, faults: sends(lightningtest.FailAfter),
			fail: true, want: payments.WithdrawalFailed,
		},
		"node away": {
			outcomes: paid, want: payments.WithdrawalSucceeded, fee: 17,
			faults: map[lightningtest.Method][]lightningtest.Fault{
				lightningtest.TrackPayment:   {lightningtest.FailBefore, lightningtest.FailBefore},
				lightningtest.HighestIndexes: {lightningtest.FailBefore},
				lightningtest.SendPayment:    {lightningtest.FailBefore},
			},
		},
		"book": {book: true, want: payments.WithdrawalSucceeded},
		"book, node away": {
			book: true, want: payments.WithdrawalSucceeded,
			faults: map[lightningtest.Method][]lightningtest.Fault{
				lightningtest.CancelInvoice: {lightningtest.FailBefore, lightningtest.FailAfter},
			},
		},
		"book, paid from outside first": {book: true, outside: true, want: payments.WithdrawalFailed},
		"no money":                      {poor: true, outcomes: paid},
	}
}

// thirdAnswersLost loses the answer of every third activity, from the first on.
// Where every other one is lost, looking and following take turns and a decision
// to send is never heard of.
func thirdAnswersLost(number int, run func() (any, error)) (any, error) {
	result, err := run()
	if number%3 == 1 {
		return nil, errAnswerLost
	}

	return result, err
}

// TestEveryPayoutActivityTwice is rule R2 for withdrawals.
func TestEveryPayoutActivityTwice(t *testing.T) {
	t.Parallel()
	for variant, step := range map[string]step{
		"once": once, "twice": twice, "two at once": twoAtOnce, "answers lost": thirdAnswersLost,
	} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			for name, l := range payoutLives() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					w, receiver := deliveringWorld(t)
					p := w.beginPayout(t, l)
					p.run(t, step, false)
					p.finished(t)
					p.told(t, receiver)
				})
			}
		})
	}
}

// TestPayoutRestartAfterEveryStep is rule R1 for withdrawals.
func TestPayoutRestartAfterEveryStep(t *testing.T) {
	t.Parallel()
	for name, l := range payoutLives() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, receiver := deliveringWorld(t)
			died := true
			for last := 1; died; last++ {
				require.Less(t, last, 60, "the run never ends by itself")
				died = false
				p := w.beginPayout(t, l)
				p.run(t, deadAfter(last, &died), false)
				if died {
					p.run(t, once, true)
				}
				p.finished(t)
				p.told(t, receiver)
			}
		})
	}
}

// payoutHistory is one withdrawal of a life, over all runs that drive it.
type payoutHistory struct {
	*deliveringTo
	life  payoutLife
	order workflows.HoldWithdrawal
	hash  lightning.Hash
	// payee is the workspace whose charge is paid by the book, before is what
	// the payer had.
	payee, chargeID string
	payer           string
	before          payments.Msat
	ended           bool
	// now is the workflow's clock when the rows were last made older.
	now      time.Time
	catching sync.Mutex
}

func (w *deliveringTo) beginPayout(t *testing.T, l payoutLife) *payoutHistory {
	t.Helper()
	p := &payoutHistory{deliveringTo: w, life: l, payer: w.workspace}
	var r payments.WithdrawalRequest
	switch {
	case l.book:
		p.payee = storetest.Workspace(t, w.Store)
		w.workspace = p.payee
		p.chargeID = w.opened(t)
		w.workspace = p.payer
		r = w.ofCharge(t, p.chargeID)
		p.hash = w.hash(t, p.chargeID)
	default:
		var bolt11 string
		bolt11, p.hash = w.outside(l.outcomes...)
		r = request(bolt11, p.hash)
	}
	if !l.poor {
		w.fund(t, p.payer, amount+maxFee)
	}
	p.before = payments.Msat(w.number(t, "SELECT available_msat FROM balance WHERE workspace_id = $1", p.payer))
	if l.poor {
		r.AmountMsat = p.before + 1
	}
	if l.brief {
		r.ExpiresAt = time.Now().Add(2 * time.Minute)
	}
	id, startBy := w.claim(t, payments.PrefixWithdrawal, r)
	p.order = workflows.HoldWithdrawal{WithdrawalID: id, StartBy: startBy}
	for method, faults := range l.faults {
		w.node.Inject(method, faults...)
	}

	return p
}

// run drives the withdrawal by one run of the workflow; look starts it as the
// sweeper does. The client repeats its POST in each run.
func (p *payoutHistory) run(t *testing.T, step step, look bool) {
	t.Helper()
	env := quietSuite().NewTestWorkflowEnvironment()
	env.SetTestTimeout(patience)
	p.now = env.Now()
	p.register(t, env, step)
	// The clocks of workflow and Postgres differ; only Postgres' counts.
	p.order.StartBy = env.Now().Add(10 * time.Minute)
	env.RegisterDelayedCallback(func() { update(env, workflows.UpdateHold, p.order) }, 0)
	for _, after := range callbacks() {
		env.RegisterDelayedCallback(func() {
			p.node.ReleaseSends()
			p.happen(t)
			update(env, workflows.UpdateNudge, workflows.Nudge{ID: p.order.WithdrawalID})
			env.SignalWorkflow(workflows.SignalNudge, nil)
		}, after)
	}
	env.ExecuteWorkflow(workflows.NameWithdrawal, workflows.WithdrawalInput{WithdrawalID: p.order.WithdrawalID, Look: look})
	require.True(t, env.IsWorkflowCompleted(), "the run of %s hangs", p.order.WithdrawalID)
	if err := env.GetWorkflowError(); err != nil {
		require.ErrorContains(t, err, "dead")
	}
}

// happen ends a held payment.
func (p *payoutHistory) happen(t *testing.T) {
	if !p.life.settle && !p.life.fail {
		return
	}
	payment, err := p.node.TrackPayment(t.Context(), p.hash)
	if err != nil || payment.State != lightning.PaymentInFlight {
		return
	}
	if p.life.settle {
		require.NoError(t, p.node.SettlePayment(p.hash))
	} else {
		require.NoError(t, p.node.FailPayment(p.hash, lightning.ReasonIncorrectDetails))
	}
}

func (p *payoutHistory) register(t *testing.T, env *testsuite.TestWorkflowEnvironment, step step) {
	env.RegisterWorkflowWithOptions(workflows.Withdrawal, workflow.RegisterOptions{Name: workflows.NameWithdrawal})
	env.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: workflows.NameDelivery})
	env.OnSignalExternalWorkflow("default-test-namespace", "charge/"+p.chargeID, "", workflows.SignalNudge, nil).
		Return(nil).Maybe()
	s := &steps{step: step}
	add(env, s, workflows.ActivityHoldWithdrawal, p.payouts.HoldWithdrawal)
	add(env, s, workflows.ActivityLookAtWithdrawal, p.payouts.LookAtWithdrawal)
	add(env, s, workflows.ActivitySendWithdrawal, func(ctx context.Context, in workflows.SendWithdrawal) (workflows.WithdrawalState, error) {
		p.catchUp(t, env)
		defer p.breakStreams()()

		return p.payouts.SendWithdrawal(ctx, in)
	})
	add(env, s, workflows.ActivityFollowWithdrawal, func(ctx context.Context, id string) (workflows.WithdrawalState, error) {
		p.catchUp(t, env)

		return p.payouts.FollowWithdrawal(ctx, id)
	})
	add(env, s, workflows.ActivitySettleByBook, func(ctx context.Context, id string) (workflows.WithdrawalState, error) {
		p.payFromOutside(t)

		return p.payouts.SettleByBook(ctx, id)
	})
	add(env, s, workflows.ActivityAttemptDelivery, p.attempt)
}

// breakStreams ends the stream of a send that is held, which would be read for
// 20 s, until stop.
func (p *payoutHistory) breakStreams() (stop func()) {
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-time.After(50 * time.Millisecond):
				p.node.BreakStreams()
			case <-ended:
				return
			}
		}
	}()

	return func() { close(ended) }
}

// payFromOutside is somebody who pays the invoice before the book transfer does.
func (p *payoutHistory) payFromOutside(t *testing.T) {
	p.catching.Lock()
	defer p.catching.Unlock()
	if p.life.outside && !p.ended {
		p.ended = true
		p.pay(t, p.chargeID, 0)
	}
}

// catchUp lets Postgres' clock pass as the workflow's has.
func (p *payoutHistory) catchUp(t *testing.T, env *testsuite.TestWorkflowEnvironment) {
	p.catching.Lock()
	defer p.catching.Unlock()
	if passed := env.Now().Sub(p.now); passed > 0 {
		p.beginInTime(t, passed)
		p.pass(t, p.order.WithdrawalID, passed)
		p.now = env.Now()
	}
}

// beginInTime has the node begin what it was sent and has kept back, before so
// much time passes that the last send could be voided: at settled time and 15 s
// after a first reading.
func (p *payoutHistory) beginInTime(t *testing.T, passed time.Duration) {
	const margin = 5
	due := p.number(t, `SELECT count(*) FROM withdrawal w JOIN withdrawal_send s ON s.withdrawal_id = w.id AND s.number = w.sends
		WHERE w.id = $1 AND w.finding_at + make_interval(secs => 15 - $2) < now() + make_interval(secs => $3)
			AND s.deadline + make_interval(secs => 30 - $2) < now() + make_interval(secs => $3)`,
		p.order.WithdrawalID, margin, passed.Seconds())
	if due > 0 && !p.life.late {
		p.node.ReleaseSends()
	}
}

// finished asserts what became of the withdrawal.
func (p *payoutHistory) finished(t *testing.T) {
	t.Helper()
	id := p.order.WithdrawalID
	switch p.life.want {
	case payments.WithdrawalSucceeded:
		p.succeeded(t, id, p.life.fee)
		p.books(t, p.payer, p.before-amount-p.life.fee, 0)
	case payments.WithdrawalFailed:
		require.Equal(t, "failed", p.payout(t, id).Status)
		p.books(t, p.payer, p.before, 0)
	default:
		p.refused(t, id, payments.CodeInsufficientBalance)
		p.books(t, p.payer, p.before, 0)
	}
	if p.life.book {
		_, err := p.SettleCharge(t.Context(), p.chargeID)
		require.NoError(t, err)
		require.Equal(t, payments.ChargePaid, p.status(t, p.chargeID))
		p.books(t, p.payee, amount, 0)
	}
	p.noLoss(t)
	p.agrees(t)
	// The tests fund by transfers that no charge stands behind.
	for what, query := range violations {
		if what != "I4: a transfer without its paid charge" {
			require.Zero(t, p.number(t, query), what)
		}
	}
}

// told asserts that every event that has an endpoint reached it. The payee of a
// book transfer has none.
func (p *payoutHistory) told(t *testing.T, receiver *sink) {
	t.Helper()
	require.Zero(t, p.number(t, "SELECT count(*) FROM delivery WHERE status <> 'succeeded'"))
	require.EqualValues(t, p.number(t, "SELECT count(*) FROM event WHERE workspace_id = $1", p.payer), receiver.distinct())
}

// noLoss asserts that nothing was paid after the void of its withdrawal, which
// the sweep of the node's payments would have booked.
func (w *world) noLoss(t *testing.T) {
	t.Helper()
	require.Zero(t, w.number(t, "SELECT count(*) FROM transfer WHERE kind = 'operator_loss_payment'"), "paid after a void")
	require.Zero(t, w.number(t, "SELECT count(*) FROM stray_payment"), "under way after a void")
	require.Zero(t, w.alerts(t, activities.AlertLatePayment))
}

// agrees asserts that the node paid what the books say, and nothing else.
func (w *world) agrees(t *testing.T) {
	t.Helper()
	onNode := payments.Msat(0)
	require.NoError(t, w.node.ListPayments(t.Context(), 0, 1000, func(page []lightning.Payment) error {
		for _, payment := range page {
			if payment.State == lightning.PaymentSucceeded {
				onNode += payment.ValueMsat + payment.FeeMsat
			}
		}

		return nil
	}))
	require.EqualValues(t, w.number(t, `SELECT coalesce(sum(amount_msat), 0)::bigint FROM transfer
		WHERE kind IN ('withdrawal_post', 'withdrawal_fee', 'operator_loss_fee', 'operator_loss_payment')`), onNode)
}
