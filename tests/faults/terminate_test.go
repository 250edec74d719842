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

	"github.com/lntpay/lntpay/tests/load"
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
	worker := load.Client{Base: s.operators[1]}
	got, err := worker.Call(t.Context(), http.MethodGet, "/metrics", "", nil)
	require.NoError(t, err)
	for line := range strings.Lines(string(got.Body)) {
		if fields := strings.Fields(line); len(fields) == 2 && strings.HasPrefix(fields[0], name) {
			return fields[1]
		}
	}

	return ""
}

// Terminating a charge's workflow only delays it.
func terminateCharges(t *testing.T, s *stack, w *workspace) {
	temporal, p := s.temporal(t), load.NewPayer(t, s.target())
	end := func(ctx context.Context, charge load.ChargeObject) error {
		return temporal.TerminateWorkflow(ctx, "charge/"+charge.ID, "", reason)
	}
	for name, act := range map[string]func(context.Context, load.ChargeObject) error{
		"before the payment": func(ctx context.Context, charge load.ChargeObject) error {
			if err := end(ctx, charge); err != nil {
				return err
			}

			return w.Settle(ctx, p, charge)
		},
		"while it is paid": func(ctx context.Context, charge load.ChargeObject) error {
			var both errgroup.Group
			both.Go(func() error { return w.Settle(ctx, p, charge) })
			both.Go(func() error { return end(ctx, charge) })

			return both.Wait()
		},
		"as soon as it is paid": func(ctx context.Context, charge load.ChargeObject) error {
			err := w.Settle(ctx, p, charge)
			_ = end(ctx, charge) // It may have ended by itself.

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var group errgroup.Group
			for range terminated {
				group.Go(func() error {
					charge, err := w.Create(t.Context(), 100)
					if err != nil {
						return err
					}

					return act(t.Context(), charge)
				})
			}
			require.NoError(t, group.Wait())
			w.Check(t, s.target(), name, []load.Outage{{From: began, To: began}})
		})
	}
}

// Terminating a run that is opening its charge leaves the outcome open; the
// repeat with the same key finds out, and there is one charge.
func terminateOpenings(t *testing.T, s *stack, w *workspace) {
	temporal, p := s.temporal(t), load.NewPayer(t, s.target())
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	began, hits := time.Now(), 0
	for range 2 * terminated {
		key := uuid.NewString()
		var group errgroup.Group
		group.Go(func() error {
			charge, err := w.CreateAs(t.Context(), key, 100)
			if err != nil {
				return err
			}

			return w.Settle(t.Context(), p, charge)
		})
		var id string
		require.Eventually(t, func() bool {
			return conn.QueryRow(t.Context(), "SELECT resource_id FROM claim WHERE key = $1", key).Scan(&id) == nil
		}, load.CreditWithin, time.Millisecond)
		var answered bool
		require.Eventually(t, func() bool {
			return temporal.TerminateWorkflow(t.Context(), "charge/"+id, "", reason) == nil
		}, load.CreditWithin, time.Millisecond, "the run of %s never began", id)
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT answer IS NOT NULL FROM claim WHERE key = $1", key).Scan(&answered))
		if !answered {
			hits++
		}
		require.NoError(t, group.Wait())
	}
	t.Logf("%d of %d runs were terminated before they had answered", hits, 2*terminated)
	w.Check(t, s.target(), "openings", []load.Outage{{From: began, To: began}})
}

// Terminating the watcher and the sweeper delays everything until the worker
// starts them again.
func terminateSingletons(t *testing.T, s *stack, w *workspace) {
	temporal, p := s.temporal(t), load.NewPayer(t, s.target())
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
		singletonsWithin, load.Poll, "the watcher's activity outlived its workflow")
	for range terminated {
		charge, err := w.Create(t.Context(), 100)
		require.NoError(t, err)
		require.NoError(t, w.Settle(t.Context(), p, charge))
	}
	for id, before := range runs {
		require.Eventually(t, func() bool {
			run, err := temporal.DescribeWorkflowExecution(t.Context(), id, "")
			info := run.GetWorkflowExecutionInfo()

			return err == nil && info.GetExecution().GetRunId() != before &&
				info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		}, singletonsWithin, 4*load.Poll, "%s did not come back", id)
	}
	back := time.Now()
	t.Logf("the singletons were back after %s", back.Sub(began).Round(time.Millisecond))
	w.Check(t, s.target(), "singletons", []load.Outage{{From: began, To: back}})
}
