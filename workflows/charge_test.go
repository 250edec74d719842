package workflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

const chargeID = "ch_01test"

// world stands for Postgres and the node behind the charge activities: one
// row, and what has become of its invoice. It obeys the rules that the real
// activities obey; tests script its faults.
type world struct {
	env *testsuite.TestWorkflowEnvironment
	mu  sync.Mutex // Held by an activity: the environment runs several at once.

	exists     bool
	claimed    bool
	status     payments.ChargeStatus
	expiresAt  time.Time
	receipt    bool // The node settled, and the watcher wrote it.
	settled    bool // The node settled; only a lookup finds it.
	canceled   bool // The node canceled.
	credits    int
	deliveries []string
	delivered  []string
	started    []string // Delivery workflows.

	failing  map[string]int // Activities that fail so often before they work.
	calls    map[string]int
	deliver  func(id string) (workflows.AttemptResult, error)
	onCancel func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	w := &world{env: suite.NewTestWorkflowEnvironment(), failing: map[string]int{}, calls: map[string]int{}}
	w.env.SetTestTimeout(20 * time.Second)
	w.env.RegisterWorkflowWithOptions(workflows.Charge, workflow.RegisterOptions{Name: workflows.NameCharge})
	w.env.RegisterWorkflowWithOptions(func(_ workflow.Context, in workflows.DeliveryInput) error {
		w.started = append(w.started, in.DeliveryID)

		return nil
	}, workflow.RegisterOptions{Name: workflows.NameDelivery})
	register := func(name string, fn any) {
		w.env.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
	register(workflows.ActivityOpenCharge, oneAtATime(w, w.open))
	register(workflows.ActivityLookAtCharge, oneAtATime(w, w.look))
	register(workflows.ActivitySettleCharge, oneAtATime(w, w.settle))
	register(workflows.ActivityExpireCharge, oneAtATime(w, w.expire))
	register(workflows.ActivityCancelCharge, oneAtATime(w, w.cancel))
	register(workflows.ActivityAttemptDelivery, oneAtATime(w, w.attempt))

	return w
}

// oneAtATime is an activity of w that no other runs beside, as the row's lock
// sees to it in Postgres.
func oneAtATime[In, Out any](w *world, do func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		w.mu.Lock()
		defer w.mu.Unlock()

		return do(ctx, in)
	}
}

// row puts an open charge into the world, as an earlier run left it.
func (w *world) row(status payments.ChargeStatus, expiresIn time.Duration) {
	w.exists, w.status, w.expiresAt = true, status, w.env.Now().Add(expiresIn)
}

func (w *world) fail(name string) error {
	w.calls[name]++
	if w.failing[name] > 0 {
		w.failing[name]--

		return errors.New("away")
	}

	return nil
}

func (w *world) state() workflows.ChargeState {
	state := workflows.ChargeState{
		Status: w.status, DueIn: w.expiresAt.Sub(w.env.Now()),
		HasReceipt: w.receipt && w.status != payments.ChargePaid, Claimed: w.claimed,
	}
	if w.status.Closed() {
		state.Deliveries = w.deliveries
	}

	return state
}

func (w *world) open(_ context.Context, in workflows.OpenCharge) (workflows.ChargeState, error) {
	if err := w.fail(workflows.ActivityOpenCharge); err != nil {
		return workflows.ChargeState{}, err
	}
	if !w.exists {
		if w.env.Now().After(in.StartBy) {
			return workflows.ChargeState{}, temporal.NewNonRetryableApplicationError("late", workflows.ErrTypeOutcomeUnknown, nil)
		}
		w.row(payments.ChargePending, time.Hour)
	}

	return w.state(), nil
}

func (w *world) look(_ context.Context, _ string) (workflows.ChargeState, error) {
	if err := w.fail(workflows.ActivityLookAtCharge); err != nil {
		return workflows.ChargeState{}, err
	}
	if !w.exists {
		return workflows.ChargeState{}, temporal.NewNonRetryableApplicationError("no row", workflows.ErrTypeRowMissing, nil)
	}

	return w.state(), nil
}

func (w *world) settle(_ context.Context, _ string) (workflows.ChargeState, error) {
	if err := w.fail(workflows.ActivitySettleCharge); err != nil {
		return workflows.ChargeState{}, err
	}
	if w.receipt && w.status != payments.ChargePaid {
		w.status = payments.ChargePaid
		w.credits++
	}

	return w.state(), nil
}

func (w *world) expire(ctx context.Context, id string) (workflows.ChargeState, error) {
	if err := w.fail(workflows.ActivityExpireCharge); err != nil {
		return workflows.ChargeState{}, err
	}
	if w.env.Now().Before(w.expiresAt) || w.status != payments.ChargePending || w.claimed {
		return w.state(), nil
	}
	if w.settled || w.receipt {
		w.receipt = true

		return w.settle(ctx, id)
	}
	w.canceled, w.status = true, payments.ChargeExpired

	return w.state(), nil
}

func (w *world) cancel(ctx context.Context, in workflows.CancelCharge) (workflows.ChargeState, error) {
	if err := w.fail(workflows.ActivityCancelCharge); err != nil {
		return workflows.ChargeState{}, err
	}
	if w.onCancel != nil {
		w.onCancel()
	}
	switch {
	case w.status != payments.ChargePending:
	case w.settled || w.receipt:
		w.receipt = true

		return w.settle(ctx, in.ChargeID)
	default:
		w.canceled, w.status = true, payments.ChargeCanceled
	}

	return w.state(), nil
}

func (w *world) attempt(_ context.Context, in workflows.DeliveryInput) (workflows.AttemptResult, error) {
	w.delivered = append(w.delivered, in.DeliveryID)
	if w.deliver != nil {
		return w.deliver(in.DeliveryID)
	}

	return workflows.AttemptResult{Done: true}, nil
}

// at schedules a step at a time after the start.
func (w *world) at(d time.Duration, step func()) { w.env.RegisterDelayedCallback(step, d) }

func (w *world) nudge() { w.env.SignalWorkflow(workflows.SignalNudge, nil) }

var errPending = errors.New("pending")

// update sends an update at a time after the start and returns where its
// error will stand: errPending until it completes.
func (w *world) update(d time.Duration, name string, arg func() any) *error {
	result := new(error)
	*result = errPending
	w.at(d, func() {
		w.env.UpdateWorkflow(name, name+w.env.Now().String(), &testsuite.TestUpdateCallback{
			OnAccept:   func() {},
			OnReject:   func(err error) { *result = err },
			OnComplete: func(_ any, err error) { *result = err },
		}, arg())
	})

	return result
}

func (w *world) openNow() *error {
	return w.update(0, workflows.UpdateOpen, func() any {
		return workflows.OpenCharge{ChargeID: chargeID, StartBy: w.env.Now().Add(10 * time.Second)}
	})
}

func (w *world) run(t *testing.T, look bool) {
	t.Helper()
	w.env.ExecuteWorkflow(workflows.NameCharge, workflows.ChargeInput{ChargeID: chargeID, Look: look})
	require.True(t, w.env.IsWorkflowCompleted())
	require.NoError(t, w.env.GetWorkflowError())
	require.LessOrEqual(t, w.credits, 1, "credited twice")
}

func TestChargePaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliveries = []string{"dlv_1", "dlv_2"}
	opened := w.openNow()
	w.at(2*time.Minute, func() { w.receipt = true; w.nudge() })
	w.run(t, false)
	require.NoError(t, *opened)
	require.Equal(t, payments.ChargePaid, w.status)
	require.Equal(t, 1, w.credits)
	require.ElementsMatch(t, []string{"dlv_1", "dlv_2"}, w.delivered)
	require.Zero(t, w.calls[workflows.ActivityLookAtCharge], "the happy path needs no extra look")
	require.Zero(t, w.calls[workflows.ActivityExpireCharge])
}

func TestChargeExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.openNow()
	start := w.env.Now()
	w.run(t, false)
	require.Equal(t, payments.ChargeExpired, w.status)
	require.True(t, w.canceled, "expired is only said once the node has canceled")
	require.GreaterOrEqual(t, w.env.Now().Sub(start), time.Hour)
	require.Equal(t, 1, w.calls[workflows.ActivityExpireCharge])
}

// The node settles in the instant of the expiry: money wins, without a nudge.
func TestChargePaidAtTheMomentOfExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.openNow()
	w.at(59*time.Minute+59*time.Second, func() { w.settled = true })
	w.run(t, false)
	require.Equal(t, payments.ChargePaid, w.status)
	require.False(t, w.canceled)
	require.Equal(t, 1, w.credits)
}

// The run survives the database being away at the expiry and at the nudge.
func TestChargeWaitsOutFaults(t *testing.T) {
	t.Parallel()
	for name, paid := range map[string]bool{"expiry": false, "payment": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.failing[workflows.ActivityExpireCharge] = 30
			w.failing[workflows.ActivitySettleCharge] = 30
			w.openNow()
			if paid {
				w.at(2*time.Minute, func() { w.receipt = true; w.nudge() })
			}
			w.run(t, false)
			require.True(t, w.status.Closed())
			require.Equal(t, paid, w.status == payments.ChargePaid)
		})
	}
}

func TestOpenRetriesWhileTheNodeIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.failing[workflows.ActivityOpenCharge] = 5
	opened := w.openNow()
	w.run(t, false)
	require.NoError(t, *opened)
	require.Equal(t, 6, w.calls[workflows.ActivityOpenCharge])
	require.Equal(t, payments.ChargeExpired, w.status)
}

// A node that stays away: the client hears "unknown", nothing is opened, and
// the run ends by looking for a row.
func TestOpenGivesUpAtStartBy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.failing[workflows.ActivityOpenCharge] = 1000
	opened := w.openNow()
	w.env.ExecuteWorkflow(workflows.NameCharge, workflows.ChargeInput{ChargeID: chargeID})
	require.True(t, w.env.IsWorkflowCompleted())
	require.ErrorContains(t, *opened, "outcome unknown")
	var app *temporal.ApplicationError
	require.ErrorAs(t, w.env.GetWorkflowError(), &app)
	require.Equal(t, workflows.ErrTypeRowMissing, app.Type())
	require.False(t, w.exists)
}

func TestRunWithoutUpdateLooksByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.row(payments.ChargePending, time.Minute)
	w.run(t, false)
	require.Equal(t, payments.ChargeExpired, w.status)
	require.Equal(t, 1, w.calls[workflows.ActivityLookAtCharge])
}

// Whatever state a terminated run left, a new one finds its place.
func TestRestartFromTheRow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare       func(*world)
		want          payments.ChargeStatus
		wantDelivered bool
	}{
		"creating":              {func(w *world) { w.row(payments.ChargeCreating, time.Hour) }, payments.ChargeCreating, false},
		"pending":               {func(w *world) { w.row(payments.ChargePending, time.Hour) }, payments.ChargeExpired, true},
		"pending, overdue":      {func(w *world) { w.row(payments.ChargePending, -time.Hour) }, payments.ChargeExpired, true},
		"pending, settled":      {func(w *world) { w.row(payments.ChargePending, time.Hour); w.settled = true }, payments.ChargePaid, true},
		"pending, with receipt": {func(w *world) { w.row(payments.ChargePending, time.Hour); w.receipt = true }, payments.ChargePaid, true},
		"expired, with receipt": {func(w *world) { w.row(payments.ChargeExpired, -time.Hour); w.receipt = true }, payments.ChargePaid, true},
		"paid, not told":        {func(w *world) { w.row(payments.ChargePaid, -time.Hour); w.credits = 1 }, payments.ChargePaid, true},
		"canceled, not told":    {func(w *world) { w.row(payments.ChargeCanceled, -time.Hour) }, payments.ChargeCanceled, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deliveries = []string{"dlv_1"}
			c.prepare(w)
			w.run(t, true)
			require.Equal(t, c.want, w.status)
			if c.wantDelivered {
				require.Equal(t, []string{"dlv_1"}, w.delivered)
			} else {
				require.Empty(t, w.delivered)
			}
		})
	}
}

func TestMissingRowEndsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env.ExecuteWorkflow(workflows.NameCharge, workflows.ChargeInput{ChargeID: chargeID, Look: true})
	require.ErrorContains(t, w.env.GetWorkflowError(), "no row")
}

// Nudges carry nothing: early, doubled, or without cause they change nothing.
func TestNudgesAreHarmless(t *testing.T) {
	t.Parallel()
	for name, when := range map[string][]time.Duration{
		"before anything happened": {time.Minute, 2 * time.Minute, 2 * time.Minute},
		"beside the opening":       {0, time.Millisecond},
		"around the settlement":    {9 * time.Minute, 10 * time.Minute, 10 * time.Minute, 10*time.Minute + time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.openNow()
			w.at(10*time.Minute, func() { w.receipt = true })
			for _, d := range when {
				w.at(d, w.nudge)
			}
			w.run(t, false)
			require.Equal(t, payments.ChargePaid, w.status, "at the latest the expiry finds the money")
			require.Equal(t, 1, w.credits)
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*world)
		want    payments.ChargeStatus
	}{
		"open":                           {func(*world) {}, payments.ChargeCanceled},
		"the node settled just before":   {func(w *world) { w.settled = true }, payments.ChargePaid},
		"the receipt comes in the midst": {func(w *world) { w.onCancel = func() { w.receipt = true; w.nudge() } }, payments.ChargePaid},
		"after failures":                 {func(w *world) { w.failing[workflows.ActivityCancelCharge] = 3 }, payments.ChargeCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.openNow()
			c.prepare(w)
			result := w.update(2*time.Minute, workflows.UpdateCancel, func() any {
				return workflows.CancelCharge{
					ChargeID: chargeID, ClaimID: "cnl_1", StartBy: w.env.Now().Add(10 * time.Second),
				}
			})
			w.run(t, false)
			require.NoError(t, *result)
			require.Equal(t, c.want, w.status)
			require.Equal(t, c.want == payments.ChargePaid, w.credits == 1)
			require.Less(t, w.calls[workflows.ActivityExpireCharge], 2)
		})
	}
}

func TestUpdateOfAnotherChargeIsRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.row(payments.ChargePending, time.Minute)
	result := w.update(0, workflows.UpdateOpen, func() any {
		return workflows.OpenCharge{ChargeID: "ch_other", StartBy: w.env.Now().Add(time.Second)}
	})
	w.run(t, true)
	require.ErrorContains(t, *result, "this run is of")
	require.Zero(t, w.calls[workflows.ActivityOpenCharge])
}

// While a book transfer settles the charge the run keeps its hands off, also
// past the expiry.
func TestClaimedChargeIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.row(payments.ChargePending, time.Minute)
	w.claimed = true
	w.at(time.Hour, func() { w.claimed = false; w.nudge() })
	w.run(t, true)
	require.Equal(t, payments.ChargeExpired, w.status)
	require.Equal(t, 1, w.calls[workflows.ActivityExpireCharge])
}

// A failed first attempt starts the delivery's own workflow; the charge's ends.
func TestFailedFirstAttemptStartsADelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliveries = []string{"dlv_good", "dlv_bad"}
	w.deliver = func(id string) (workflows.AttemptResult, error) {
		return workflows.AttemptResult{Done: id == "dlv_good", NextIn: 5 * time.Second}, nil
	}
	w.openNow()
	w.at(2*time.Minute, func() { w.receipt = true; w.nudge() })
	w.run(t, false)
	require.Equal(t, []string{"dlv_bad"}, w.started)
}

func TestStateQuerySaysWhatTheChargeWaitsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.openNow()
	var got workflows.ChargeDescription
	w.at(2*time.Minute, func() {
		value, err := w.env.QueryWorkflow(workflows.QueryState)
		require.NoError(t, err)
		require.NoError(t, value.Get(&got))
	})
	w.run(t, false)
	require.Equal(t, "pending", got.Status)
	require.Contains(t, got.WaitsFor, "waiting for payment until ")
}
