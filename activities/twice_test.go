package activities_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// life is one charge on its way through the real workflow with the real
// activities: who pays, cancels or fails, and when.
type life struct {
	// paid is what arrives half a minute after the opening; 0 for nothing.
	paid payments.Msat
	// atExpiry says that the node settles in the instant of the expiry.
	atExpiry bool
	canceled bool
	// faults is what the node does to the first calls of each run.
	faults map[lightningtest.Method][]lightningtest.Fault
	want   payments.ChargeStatus
}

func lives() map[string]life {
	away := map[lightningtest.Method][]lightningtest.Fault{
		lightningtest.AddInvoice:    {lightningtest.FailBefore, lightningtest.FailAfter},
		lightningtest.LookupInvoice: {lightningtest.FailBefore},
		lightningtest.CancelInvoice: {lightningtest.FailBefore, lightningtest.FailAfter},
	}

	return map[string]life{
		"paid":                      {paid: amount, want: payments.ChargePaid},
		"overpaid":                  {paid: 3 * amount, want: payments.ChargePaid},
		"expired":                   {want: payments.ChargeExpired},
		"paid at the expiry":        {atExpiry: true, want: payments.ChargePaid},
		"canceled":                  {canceled: true, want: payments.ChargeCanceled},
		"node away, paid":           {paid: amount, faults: away, want: payments.ChargePaid},
		"node away, expired":        {faults: away, want: payments.ChargeExpired},
		"node away, canceled":       {canceled: true, faults: away, want: payments.ChargeCanceled},
		"node away, paid at expiry": {atExpiry: true, faults: away, want: payments.ChargePaid},
	}
}

// step runs one activity in the way that a variant has it run; number counts
// the activities of a run from 1.
type step func(number int, run func() (any, error)) (any, error)

var errAnswerLost = errors.New("the answer is lost")

func once(_ int, run func() (any, error)) (any, error) { return run() }

func twice(_ int, run func() (any, error)) (any, error) {
	if _, err := run(); err != nil {
		return nil, err
	}

	return run()
}

// twoAtOnce answers with the first of the two, whatever the other says.
func twoAtOnce(_ int, run func() (any, error)) (any, error) {
	var results [2]any
	var errs [2]error
	atOnce(2, func(i int) error {
		results[i], errs[i] = run()

		return nil
	})

	return results[0], errs[0]
}

// answersLost loses the answer of every other activity, from the first on.
func answersLost(number int, run func() (any, error)) (any, error) {
	result, err := run()
	if number%2 == 1 {
		return nil, errAnswerLost
	}

	return result, err
}

// deadAfter is a run that dies after so many activities: the last has its
// effect, and nothing of the run happens after it. died says whether it came
// to that.
func deadAfter(last int, died *bool) step {
	return func(number int, run func() (any, error)) (any, error) {
		if number <= last {
			result, err := run()
			if number < last {
				return result, err
			}
		}
		*died = true

		return nil, temporal.NewNonRetryableApplicationError("dead", workflows.ErrTypeRowMissing, nil)
	}
}

// TestEveryActivityTwice is rule R2: each activity runs once, twice, twice at
// the same time, or with its answer lost, and the books are the same.
func TestEveryActivityTwice(t *testing.T) {
	t.Parallel()
	for variant, step := range map[string]step{
		"once": once, "twice": twice, "two at once": twoAtOnce, "answers lost": answersLost,
	} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			w, receiver := deliveringWorld(t)
			for name, l := range lives() {
				t.Log(name)
				r := w.begin(t, l)
				r.run(t, step, false)
				r.finished(t)
			}
			w.sound(t)
			w.delivered(t, receiver)
		})
	}
}

// TestRestartAfterEveryStep is rule R1: a run dies after each of its steps in
// turn and another starts from the row.
func TestRestartAfterEveryStep(t *testing.T) {
	t.Parallel()
	for name, l := range lives() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, receiver := deliveringWorld(t)
			died := true
			for last := 1; died; last++ {
				require.Less(t, last, 50, "the run never ends by itself")
				died = false
				r := w.begin(t, l)
				r.run(t, deadAfter(last, &died), false)
				if died {
					r.run(t, once, true)
				}
				if w.status(t, r.open.ChargeID) == payments.ChargeCreating {
					t.Fatalf("after %d steps: the repeat did not open the charge", last)
				}
				r.finished(t)
			}
			w.sound(t)
			w.delivered(t, receiver)
		})
	}
}

// deliveringWorld is a world with an endpoint that is delivered to.
func deliveringWorld(t *testing.T) (*deliveringTo, *sink) {
	t.Helper()
	receiver := newSink(t)
	w := newWorld(t)
	deliveries, sealed := newDeliveries(t, w)
	id := payments.NewID(payments.PrefixEndpoint)
	w.exec(t, `INSERT INTO webhook_endpoint (id, workspace_id, url, events, secret_sealed) VALUES ($1, $2, $3, '{*}', $4)`,
		id, w.workspace, receiver.URL, sealed(id))

	return &deliveringTo{world: w, attempt: deliveries.AttemptDelivery}, receiver
}

type deliveringTo struct {
	*world
	attempt func(context.Context, workflows.DeliveryInput) (workflows.AttemptResult, error)
}

// delivered asserts that every event reached the endpoint.
func (w *deliveringTo) delivered(t *testing.T, receiver *sink) {
	t.Helper()
	require.Zero(t, w.number(t, "SELECT count(*) FROM delivery WHERE status <> 'succeeded'"))
	require.EqualValues(t, w.number(t, "SELECT count(*) FROM event"), receiver.distinct())
}

// history is one charge of a life, over all runs that drive it.
type history struct {
	*deliveringTo
	life   life
	open   workflows.OpenCharge
	cancel workflows.CancelCharge
	// paid is set once the node has settled.
	paid bool
}

func (w *deliveringTo) begin(t *testing.T, l life) *history {
	t.Helper()
	r := &history{deliveringTo: w, life: l, open: w.order(t)}
	r.cancel = w.cancelOrder(t, r.open.ChargeID)
	for method, faults := range l.faults {
		w.node.Inject(method, faults...)
	}

	return r
}

// run drives the charge by one run of the workflow; look starts it as the
// sweeper does. The client repeats its POST in each run.
func (r *history) run(t *testing.T, step step, look bool) {
	t.Helper()
	env := quietSuite().NewTestWorkflowEnvironment()
	env.SetTestTimeout(patience)
	r.register(env, step)
	id := r.open.ChargeID
	// The clocks of workflow and Postgres differ; only Postgres' counts.
	r.open.StartBy = env.Now().Add(10 * time.Minute)
	r.cancel.StartBy = env.Now().Add(40 * time.Minute)
	env.RegisterDelayedCallback(func() { update(env, workflows.UpdateOpen, r.open) }, 0)
	env.RegisterDelayedCallback(func() {
		switch {
		case r.life.paid > 0:
			r.settle(t, r.life.paid)
			// A nudge by update as the watcher's, and one that an operator sent.
			update(env, workflows.UpdateNudge, workflows.Nudge{ID: id})
			env.SignalWorkflow(workflows.SignalNudge, nil)
		case r.life.canceled:
			update(env, workflows.UpdateCancel, r.cancel)
		}
	}, 30*time.Minute)
	env.ExecuteWorkflow(workflows.NameCharge, workflows.ChargeInput{ChargeID: id, Look: look})
	require.True(t, env.IsWorkflowCompleted(), "the run of %s hangs", id)
	if err := env.GetWorkflowError(); err != nil {
		require.ErrorContains(t, err, "dead")
	}
}

func update(env *testsuite.TestWorkflowEnvironment, name string, arg any) {
	env.UpdateWorkflow(name, payments.NewID("upd"), &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(any, error) {},
	}, arg)
}

// settle has the node settle and the watcher write the receipt, if there is
// an invoice yet.
func (r *history) settle(t *testing.T, paid payments.Msat) {
	row := r.row(t, r.open.ChargeID)
	if r.paid {
		return
	}
	invoice, err := r.node.Settle([32]byte(row.PaymentHash), paid)
	if err != nil {
		return // Nobody has the bolt11 yet; the next run's payer comes back.
	}
	r.paid = true
	if !r.life.atExpiry {
		r.receive(t, invoice)
	}
}

// register registers workflows and activities as the worker does, each
// activity run in the variant's way.
func (r *history) register(env *testsuite.TestWorkflowEnvironment, step step) {
	env.RegisterWorkflowWithOptions(workflows.Charge, workflow.RegisterOptions{Name: workflows.NameCharge})
	env.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: workflows.NameDelivery})
	s := &steps{step: step}
	add(env, s, workflows.ActivityOpenCharge, r.OpenCharge)
	add(env, s, workflows.ActivityLookAtCharge, r.LookAtCharge)
	add(env, s, workflows.ActivitySettleCharge, r.SettleCharge)
	add(env, s, workflows.ActivityCancelCharge, r.CancelCharge)
	add(env, s, workflows.ActivityAttemptDelivery, r.attempt)
	add(env, s, workflows.ActivityExpireCharge, func(ctx context.Context, id string) (workflows.ChargeState, error) {
		if err := r.comeToExpiry(ctx); err != nil {
			return workflows.ChargeState{}, err
		}

		return r.ExpireCharge(ctx, id)
	})
}

// comeToExpiry lets Postgres' clock pass the expiry, as the workflow's has.
func (r *history) comeToExpiry(ctx context.Context) error {
	row, err := r.Store.GetCharge(ctx, r.open.ChargeID)
	if err != nil {
		return err
	}
	if r.life.atExpiry {
		// Settled before: an error that changes nothing.
		_, _ = r.node.Settle([32]byte(row.PaymentHash), 0)
	}
	_, err = r.Store.Pool.Exec(ctx, `UPDATE charge SET expires_at = now() - interval '1 second'
		WHERE id = $1 AND status = 'pending'`, row.ID)

	return err
}

// steps counts the activities of one run.
type steps struct {
	step   step
	mu     sync.Mutex
	number int
}

func (s *steps) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++

	return s.number
}

// add registers an activity, run in the variant's way.
func add[In, Out any](env *testsuite.TestWorkflowEnvironment, s *steps, name string, run func(context.Context, In) (Out, error)) {
	env.RegisterActivityWithOptions(func(ctx context.Context, in In) (out Out, err error) {
		result, err := s.step(s.next(), func() (any, error) { return run(ctx, in) })
		if err != nil {
			return out, err
		}

		return result.(Out), nil
	}, activity.RegisterOptions{Name: name})
}

// finished asserts what became of the charge.
func (r *history) finished(t *testing.T) {
	t.Helper()
	id := r.open.ChargeID
	row := r.row(t, id)
	require.Equal(t, string(r.life.want), row.Status)
	r.created(t, id)
	require.Equal(t, []string{"charge." + row.Status}, r.events(t, id))
	if r.life.want == payments.ChargePaid {
		invoice, err := r.node.LookupInvoice(t.Context(), [32]byte(row.PaymentHash))
		require.NoError(t, err)
		require.EqualValues(t, invoice.AmtPaidMsat, row.AmountPaidMsat, "the node's amount")
		require.Equal(t, "credited", r.receiptState(t, invoice.PaymentHash))
	}
	if r.life.want == payments.ChargeCanceled {
		r.canceled(t, r.cancel, http.StatusOK)
	}
}
