package faults_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

const (
	// terminated is how many charges a case terminates.
	terminated = 5
	// singletonsWithin is the minute after which the worker looks after the
	// watcher and the sweeper, and some.
	singletonsWithin = 75 * time.Second
	reason           = "the fault test plays an operator"
)

func (s *stack) temporal(t *testing.T) sdk.Client {
	t.Helper()
	temporal, err := sdk.Dial(sdk.Options{HostPort: s.dev.TemporalAddress, Namespace: s.dev.TemporalNamespace})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)

	return temporal
}

// workerMetric reads one number of the worker's environment.
func (s *stack) workerMetric(t *testing.T, name string) string {
	t.Helper()
	worker := client{base: s.operators[1]}
	got, err := worker.call(t.Context(), http.MethodGet, "/metrics", "", nil)
	require.NoError(t, err)
	for line := range strings.Lines(string(got.body)) {
		if fields := strings.Fields(line); len(fields) == 2 && strings.HasPrefix(fields[0], name) {
			return fields[1]
		}
	}

	return ""
}

// Terminating a charge's workflow only delays it.
func terminateCharges(t *testing.T, s *stack, w *workspace) {
	temporal, p := s.temporal(t), newPayer(t, s)
	end := func(ctx context.Context, charge chargeObject) error {
		return temporal.TerminateWorkflow(ctx, "charge/"+charge.ID, "", reason)
	}
	for name, act := range map[string]func(context.Context, chargeObject) error{
		"before the payment": func(ctx context.Context, charge chargeObject) error {
			if err := end(ctx, charge); err != nil {
				return err
			}

			return w.settle(ctx, p, charge)
		},
		"while it is paid": func(ctx context.Context, charge chargeObject) error {
			var both errgroup.Group
			both.Go(func() error { return w.settle(ctx, p, charge) })
			both.Go(func() error { return end(ctx, charge) })

			return both.Wait()
		},
		"as soon as it is paid": func(ctx context.Context, charge chargeObject) error {
			err := w.settle(ctx, p, charge)
			_ = end(ctx, charge) // It may have ended by itself.

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var group errgroup.Group
			for range terminated {
				group.Go(func() error {
					charge, err := w.create(t.Context(), 100)
					if err != nil {
						return err
					}

					return act(t.Context(), charge)
				})
			}
			require.NoError(t, group.Wait())
			w.check(t, s, name, []outage{{from: began, to: began}})
		})
	}
}

// Terminating a run that is opening its charge leaves the outcome open; the
// repeat with the same key finds out, and there is one charge.
func terminateOpenings(t *testing.T, s *stack, w *workspace) {
	temporal, p := s.temporal(t), newPayer(t, s)
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	began, hits := time.Now(), 0
	for range 2 * terminated {
		key := uuid.NewString()
		var group errgroup.Group
		group.Go(func() error {
			charge, err := w.createAs(t.Context(), key, 100)
			if err != nil {
				return err
			}

			return w.settle(t.Context(), p, charge)
		})
		var id string
		require.Eventually(t, func() bool {
			return conn.QueryRow(t.Context(), "SELECT resource_id FROM claim WHERE key = $1", key).Scan(&id) == nil
		}, creditWithin, time.Millisecond)
		var answered bool
		require.Eventually(t, func() bool {
			return temporal.TerminateWorkflow(t.Context(), "charge/"+id, "", reason) == nil
		}, creditWithin, time.Millisecond, "the run of %s never began", id)
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT answer IS NOT NULL FROM claim WHERE key = $1", key).Scan(&answered))
		if !answered {
			hits++
		}
		require.NoError(t, group.Wait())
	}
	t.Logf("%d of %d runs were terminated before they had answered", hits, 2*terminated)
	w.check(t, s, "openings", []outage{{from: began, to: began}})
}

// Terminating the watcher and the sweeper delays everything until the worker
// starts them again.
func terminateSingletons(t *testing.T, s *stack, w *workspace) {
	temporal, p := s.temporal(t), newPayer(t, s)
	began := time.Now()
	runs := map[string]string{"node-watcher/merchant": "", "sweeper/merchant": ""}
	for id := range runs {
		run, err := temporal.DescribeWorkflowExecution(t.Context(), id, "")
		require.NoError(t, err)
		runs[id] = run.GetWorkflowExecutionInfo().GetExecution().GetRunId()
		require.NoError(t, temporal.TerminateWorkflow(t.Context(), id, "", reason))
	}
	// Its activity goes on until its next heartbeat is refused.
	require.Eventually(t, func() bool { return s.workerMetric(t, "lntpay_node_stream_up") == "0" },
		singletonsWithin, poll, "the watcher's activity outlived its workflow")
	for range terminated {
		charge, err := w.create(t.Context(), 100)
		require.NoError(t, err)
		require.NoError(t, w.settle(t.Context(), p, charge))
	}
	for id, before := range runs {
		require.Eventually(t, func() bool {
			run, err := temporal.DescribeWorkflowExecution(t.Context(), id, "")
			info := run.GetWorkflowExecutionInfo()

			return err == nil && info.GetExecution().GetRunId() != before &&
				info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		}, singletonsWithin, 4*poll, "%s did not come back", id)
	}
	back := time.Now()
	t.Logf("the singletons were back after %s", back.Sub(began).Round(time.Millisecond))
	w.check(t, s, "singletons", []outage{{from: began, to: back}})
}
