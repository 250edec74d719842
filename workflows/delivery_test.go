package workflows

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

// deliveryEnv is a workflow environment whose attempts are played by play,
// which gets the number of the attempt, from 1.
func deliveryEnv(t *testing.T, play func(id string, n int) (AttemptResult, error)) (*testsuite.TestWorkflowEnvironment, *[]time.Time) {
	t.Helper()

	return deliveryEnvOf(t, func(in DeliveryInput, n int) (AttemptResult, error) { return play(in.DeliveryID, n) })
}

// deliveryEnvOf is deliveryEnv for plays that want the whole input.
func deliveryEnvOf(t *testing.T, play func(in DeliveryInput, n int) (AttemptResult, error)) (*testsuite.TestWorkflowEnvironment, *[]time.Time) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	env.RegisterWorkflowWithOptions(Delivery, workflow.RegisterOptions{Name: NameDelivery})
	env.RegisterActivityWithOptions(
		func(context.Context, DeliveryInput) (AttemptResult, error) { return AttemptResult{}, nil },
		activity.RegisterOptions{Name: ActivityAttemptDelivery})
	env.RegisterActivityWithOptions(func(context.Context, DeliveryInput) error { return nil },
		activity.RegisterOptions{Name: ActivityCancelDelivery})
	var at []time.Time
	count := map[string]int{}
	env.OnActivity(ActivityAttemptDelivery, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in DeliveryInput) (AttemptResult, error) {
			count[in.DeliveryID]++
			at = append(at, env.Now())

			return play(in, count[in.DeliveryID])
		})

	return env, &at
}

// gaps are the times between attempts, in whole seconds.
func gaps(at []time.Time) []time.Duration {
	var all []time.Duration
	for i := 1; i < len(at); i++ {
		all = append(all, at[i].Sub(at[i-1]).Round(time.Second))
	}

	return all
}

func timeout(kind enumspb.TimeoutType) error { return temporal.NewTimeoutError(kind, nil) }

func TestDelivery(t *testing.T) {
	t.Parallel()
	done := AttemptResult{Done: true, Note: "delivered, answered 200"}
	next := func(d time.Duration) AttemptResult { return AttemptResult{NextIn: d, Note: "answered 500"} }
	away := errors.New("postgres is away")
	type played struct {
		result AttemptResult
		err    error
	}
	tests := map[string]struct {
		attempts []played
		gaps     []time.Duration
		last     string
	}{
		"healthy": {[]played{{done, nil}}, nil, done.Note},
		"along the schedule": {
			[]played{{next(5 * time.Second), nil}, {next(5 * time.Minute), nil}, {next(20 * time.Hour), nil}, {done, nil}},
			[]time.Duration{5 * time.Second, 5 * time.Minute, 20 * time.Hour}, done.Note,
		},
		"due at once does not spin": {[]played{{next(0), nil}, {done, nil}}, []time.Duration{time.Second}, done.Note},
		"timeouts are failed attempts": {
			[]played{
				{err: timeout(enumspb.TIMEOUT_TYPE_START_TO_CLOSE)}, {err: timeout(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START)},
				{next(5 * time.Second), nil}, {err: timeout(enumspb.TIMEOUT_TYPE_START_TO_CLOSE)}, {done, nil},
			},
			[]time.Duration{10 * time.Second, 20 * time.Second, 5 * time.Second, 10 * time.Second}, done.Note,
		},
		"postgres away": {
			slices.Concat(slices.Repeat([]played{{err: away}}, 8), []played{{done, nil}}),
			[]time.Duration{
				10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second,
				5 * time.Minute, 5 * time.Minute, 5 * time.Minute,
			}, done.Note,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, at := deliveryEnv(t, func(_ string, n int) (AttemptResult, error) {
				return tt.attempts[n-1].result, tt.attempts[n-1].err
			})
			env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
			require.True(t, env.IsWorkflowCompleted())
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, tt.gaps, gaps(*at))
			value, err := env.QueryWorkflow(QueryState)
			require.NoError(t, err)
			var description DeliveryDescription
			require.NoError(t, value.Get(&description))
			require.Equal(t, "dlv_1", description.DeliveryID)
			require.Equal(t, tt.last, description.LastAttempt)
		})
	}
}

func TestDeliveryMissingRow(t *testing.T) {
	t.Parallel()
	env, at := deliveryEnv(t, func(string, int) (AttemptResult, error) {
		return AttemptResult{}, temporal.NewNonRetryableApplicationError("no delivery", ErrTypeRowMissing, nil)
	})
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
	require.True(t, env.IsWorkflowCompleted())
	require.True(t, isErrType(env.GetWorkflowError(), ErrTypeRowMissing))
	require.Len(t, *at, 1)
}

func TestDeliveryRetrySignal(t *testing.T) {
	t.Parallel()
	env, at := deliveryEnv(t, func(_ string, n int) (AttemptResult, error) {
		return AttemptResult{Done: n == 3, NextIn: 24 * time.Hour, Note: "answered 500"}, nil
	})
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(QueryState)
		require.NoError(t, err)
		var description DeliveryDescription
		require.NoError(t, value.Get(&description))
		require.Equal(t, "answered 500", description.LastAttempt)
		require.Contains(t, description.WaitsFor, "the next attempt at ")
		env.SignalWorkflow(SignalRetry, nil)
	}, time.Hour)
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []time.Duration{time.Hour, 24 * time.Hour}, gaps(*at))
}

// TestDeliveryRetryIsNow: a retry does not wait until the attempt is due, also
// when a new run was started for it or takes over.
func TestDeliveryRetryIsNow(t *testing.T) {
	t.Parallel()
	var asked []bool
	env, _ := deliveryEnvOf(t, func(in DeliveryInput, n int) (AttemptResult, error) {
		asked = append(asked, in.Now)

		return AttemptResult{Done: n == 3, NextIn: 24 * time.Hour}, nil
	})
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(SignalRetry, nil) }, time.Hour)
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1", Now: true})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []bool{true, true, false}, asked)
}

// TestDeliveryRetryDuringAnAttempt: a retry that comes while an attempt runs, or
// before the run has heard how that ended, has the next one made at once.
func TestDeliveryRetryDuringAnAttempt(t *testing.T) {
	t.Parallel()
	var asked []bool
	var env *testsuite.TestWorkflowEnvironment
	env, at := deliveryEnvOf(t, func(in DeliveryInput, n int) (AttemptResult, error) {
		asked = append(asked, in.Now)
		if n == 1 {
			env.SignalWorkflow(SignalRetry, nil)
		}

		return AttemptResult{Done: n == 2, NextIn: 24 * time.Hour}, nil
	})
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []bool{false, true}, asked)
	require.Equal(t, []time.Duration{0}, gaps(*at))
}

// TestDeliveryCancel: a cancelled run fails the delivery, also when Postgres is
// away at first.
func TestDeliveryCancel(t *testing.T) {
	t.Parallel()
	env, at := deliveryEnv(t, func(string, int) (AttemptResult, error) { return AttemptResult{NextIn: 24 * time.Hour}, nil })
	tries := 0
	env.OnActivity(ActivityCancelDelivery, mock.Anything, DeliveryInput{DeliveryID: "dlv_1"}).Return(
		func(context.Context, DeliveryInput) error {
			if tries++; tries < 5 {
				return errors.New("postgres is away")
			}

			return nil
		})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
	require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
	require.Equal(t, 5, tries)
	require.Len(t, *at, 1)
}

// TestDeliveryRetryWhileEnding has a redelivery come during the last attempt:
// the run looks again before it ends.
func TestDeliveryRetryWhileEnding(t *testing.T) {
	t.Parallel()
	var env *testsuite.TestWorkflowEnvironment
	env, at := deliveryEnv(t, func(_ string, n int) (AttemptResult, error) {
		if n == 1 {
			env.SignalWorkflow(SignalRetry, nil)
		}

		return AttemptResult{Done: true}, nil
	})
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, *at, 2)
}

func TestDeliveryLongHistory(t *testing.T) {
	t.Parallel()
	env, _ := deliveryEnv(t, func(string, int) (AttemptResult, error) { return AttemptResult{NextIn: time.Minute}, nil })
	env.SetContinueAsNewSuggested(true)
	env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()))
}

// deliverAll lets a test run deliverFirst as a workflow.
func deliverAll(ctx workflow.Context, ids []string) error { return deliverFirst(ctx, ids) }

func TestDeliverFirst(t *testing.T) {
	t.Parallel()
	missing := temporal.NewNonRetryableApplicationError("no delivery", ErrTypeRowMissing, nil)
	tests := map[string]struct {
		results  map[string]AttemptResult
		errs     map[string]error
		startErr error
		children []string
		errType  string
		failed   bool
	}{
		"healthy": {results: map[string]AttemptResult{"dlv_1": {Done: true}, "dlv_2": {Done: true}}},
		"one fails": {
			results:  map[string]AttemptResult{"dlv_1": {NextIn: 5 * time.Second}, "dlv_2": {Done: true}},
			children: []string{"dlv_1"},
		},
		"timeout and worker error": {
			errs: map[string]error{
				"dlv_1": timeout(enumspb.TIMEOUT_TYPE_START_TO_CLOSE), "dlv_2": errors.New("postgres is away"),
			},
			children: []string{"dlv_1", "dlv_2"},
		},
		"missing row": {
			results: map[string]AttemptResult{"dlv_2": {NextIn: 5 * time.Second}},
			errs:    map[string]error{"dlv_1": missing}, children: []string{"dlv_2"}, errType: ErrTypeRowMissing, failed: true,
		},
		"child does not start": {
			results:  map[string]AttemptResult{"dlv_1": {NextIn: 5 * time.Second}, "dlv_2": {Done: true}},
			startErr: testsuite.ErrMockStartChildWorkflowFailed, failed: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, _ := deliveryEnv(t, func(id string, _ int) (AttemptResult, error) { return tt.results[id], tt.errs[id] })
			env.RegisterWorkflow(deliverAll)
			var children []string
			if tt.startErr != nil {
				env.OnWorkflow(NameDelivery, mock.Anything, mock.Anything).Return(tt.startErr)
			}
			env.OnWorkflow(NameDelivery, mock.Anything, mock.Anything).Return(func(ctx workflow.Context, in DeliveryInput) error {
				require.Equal(t, "delivery/"+in.DeliveryID, workflow.GetInfo(ctx).WorkflowExecution.ID)
				require.Equal(t, TaskQueueWebhooks, workflow.GetInfo(ctx).TaskQueueName)
				children = append(children, in.DeliveryID)

				return nil
			})
			env.ExecuteWorkflow(deliverAll, []string{"dlv_1", "dlv_2"})
			require.True(t, env.IsWorkflowCompleted())
			slices.Sort(children)
			require.Equal(t, tt.children, children)
			err := env.GetWorkflowError()
			require.Equal(t, tt.failed, err != nil, "%v", err)
			if tt.errType != "" {
				require.True(t, isErrType(err, tt.errType), "%v", err)
			}
		})
	}
}

// TestDeliverFirstTwice starts a delivery that already has a workflow: fine.
func TestDeliverFirstTwice(t *testing.T) {
	t.Parallel()
	env, _ := deliveryEnv(t, func(string, int) (AttemptResult, error) { return AttemptResult{NextIn: 5 * time.Second}, nil })
	twice := func(ctx workflow.Context) error {
		if err := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID: deliveryIDPrefix + "dlv_1",
		}), "Running").GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			return err
		}

		return deliverFirst(ctx, []string{"dlv_1"})
	}
	env.RegisterWorkflow(twice)
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		return workflow.Sleep(ctx, time.Hour)
	}, workflow.RegisterOptions{Name: "Running"})
	started := 0
	env.SetOnChildWorkflowStartedListener(func(*workflow.Info, workflow.Context, converter.EncodedValues) { started++ })
	env.ExecuteWorkflow(twice)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 1, started)
}
