package searches

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

const (
	namespace = "lntpay-searches"
	// patience is how long visibility may take to show what has happened.
	patience = 30 * time.Second
	// The workspace and the hash that the page's examples name.
	workspace = "ws_01m82jcgk7epnvakw5mmf9fmyc"
	hash      = "4de937b5a96cf463b3bf5a9b0b5fc8e3cf40a0d8f9fc6d0e28ce228c26fe6359"
)

// temporal starts the stock server on a Postgres of its own.
func temporal(t *testing.T) client.Client {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Temporal server, which -short leaves out")
	}
	dir := t.TempDir()
	base, err := freeport.Take(1 + devnet.TemporalPortCount)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	dsn, stop, err := devnet.StartPostgres(ctx, filepath.Join(dir, "postgres"), base)
	require.NoError(t, err)
	t.Cleanup(stop)
	address, stop, err := devnet.StartTemporal(ctx, filepath.Join(dir, "temporal"), dsn, devnet.TemporalPortsFrom(base+1))
	require.NoError(t, err)
	t.Cleanup(stop)
	log := slog.New(slog.DiscardHandler)
	c, err := workflows.Dial(address, namespace, log)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, workflows.Prepare(ctx, c, namespace, 24*time.Hour, log))

	return c
}

// play runs the real workflows with activities that say that one withdrawal is
// followed, another is under review, and that each delivery fails.
func play(t *testing.T, c client.Client, review string) {
	t.Helper()
	look := func(_ context.Context, id string) (workflows.WithdrawalState, error) {
		state := workflows.WithdrawalState{
			Status: payments.WithdrawalFollowing, PaymentHash: hash, Next: workflows.StepFollow, NextIn: time.Hour, Sends: 1, Note: "in flight",
		}
		if id == review {
			state.Next, state.NextIn, state.Note = workflows.StepWait, 0, "under review: a test"
		}

		return state, nil
	}
	main := sdkworker.New(c, workflows.TaskQueuePayments, sdkworker.Options{})
	main.RegisterWorkflowWithOptions(workflows.Withdrawal, workflow.RegisterOptions{Name: workflows.NameWithdrawal})
	main.RegisterActivityWithOptions(look, activity.RegisterOptions{Name: workflows.ActivityLookAtWithdrawal})
	hooks := sdkworker.New(c, workflows.TaskQueueWebhooks, sdkworker.Options{})
	hooks.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: workflows.NameDelivery})
	hooks.RegisterActivityWithOptions(func(context.Context, workflows.DeliveryInput) (workflows.AttemptResult, error) {
		return workflows.AttemptResult{NextIn: time.Hour, Failed: true, WorkspaceID: workspace, Note: "attempt 2 failed: answered 503"}, nil
	}, activity.RegisterOptions{Name: workflows.ActivityAttemptDelivery})
	for _, one := range []sdkworker.Worker{main, hooks} {
		require.NoError(t, one.Start())
		t.Cleanup(one.Stop)
	}
}

// queries are those of the page's table.
func queries(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/temporal-ui.md")
	require.NoError(t, err)
	_, searches, found := strings.Cut(string(page), "## Searches")
	require.True(t, found)
	searches, _, _ = strings.Cut(searches, "\n## ")
	all := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|`]+) \\| `([^`]+)` \\|$").FindAllStringSubmatch(searches, -1) {
		all[row[1]] = row[2]
	}
	require.Greater(t, len(all), 10)

	return all
}

// Every documented search is one that the server takes, and what is stuck is
// found by those that are for it and by no others.
func TestSearchesOfThePage(t *testing.T) {
	t.Parallel()
	c := temporal(t)
	review, followed, delivery := payments.NewID(payments.PrefixWithdrawal), payments.NewID(payments.PrefixWithdrawal), "dlv_test"
	play(t, c, review)
	starter := &workflows.Starter{Client: c, Environment: payments.Sandbox}
	for _, id := range []string{review, followed} {
		require.NoError(t, starter.NudgeWithdrawal(t.Context(), workflows.WithdrawalRef{
			ID: id, WorkspaceID: workspace, AmountMsat: 2_000_000_000, PaymentHash: hash,
		}))
	}
	require.NoError(t, starter.Deliver(t.Context(), delivery))
	search := func(query string) []string {
		found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		require.NoError(t, err, query)
		var ids []string
		for _, one := range found.GetExecutions() {
			ids = append(ids, one.GetExecution().GetWorkflowId())
		}

		return ids
	}
	reviewed, inFlight, failing := workflows.WithdrawalWorkflowID(review), workflows.WithdrawalWorkflowID(followed), "delivery/"+delivery
	want := map[string][]string{
		"withdrawals that wait for an operator":                  {reviewed},
		"its withdrawals under review":                           {reviewed},
		"all that is open of one workspace":                      {reviewed, inFlight, failing},
		"whatever has to do with a payment hash":                 {reviewed, inFlight},
		"open payments above a million sats":                     {reviewed, inFlight},
		"deliveries that failed again after their first attempt": {failing},
		"one workspace's failing deliveries":                     {failing},
		"withdrawals that are locked and not sent":               nil,
		"charges that are open":                                  nil,
		"workflows whose code is broken":                         nil,
		"runs that failed":                                       nil,
	}
	all := queries(t)
	for name, query := range all {
		search(query)
		_, ok := want[name]
		if !ok {
			t.Logf("%s: taken", name)
		}
	}
	for name, ids := range want {
		query, ok := all[name]
		require.True(t, ok, "the page has no search for %s", name)
		require.Eventually(t, func() bool {
			return len(search(query)) == len(ids)
		}, patience, 200*time.Millisecond, "%s: %s", name, query)
		require.ElementsMatch(t, ids, search(query), "%s: %s", name, query)
	}
	described, err := c.DescribeWorkflowExecution(t.Context(), reviewed, "")
	require.NoError(t, err)
	require.Empty(t, described.GetPendingActivities(), "it waits for an operator, not for a worker")
}
