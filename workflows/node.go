package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// NodeWatcher keeps one long activity on a node's stream of settled invoices.
// Temporal gives it to one worker at a time and to another when the heartbeat
// stops; the cursor is in Postgres, so that an overlap is harmless.
func NodeWatcher(ctx workflow.Context, in NodeInput) error {
	workflow.SetCurrentDetails(ctx, "following the settled invoices of node "+in.Node)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 24 * time.Hour,
		HeartbeatTimeout:    5 * time.Second,
		Summary:             "subscription to " + in.Node,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 3 * time.Second,
		},
	})
	if err := workflow.ExecuteActivity(ctx, ActivityWatchNode, in).Get(ctx, nil); err != nil {
		return err
	}

	return workflow.NewContinueAsNewError(ctx, NameNodeWatcher, in)
}

const (
	sweepEvery = time.Minute
	// sweepsPerRun makes a run, and with it the sweep of the node's whole
	// list, an hour long.
	sweepsPerRun = 60
)

// Sweeper is rule R6: somebody always comes back. Once a minute it starts the
// workflows of rows that are overdue, once an hour (a run) it compares the
// node's invoices with the receipts. In normal life it finds nothing.
func Sweeper(ctx workflow.Context, in NodeInput) error {
	options := workflow.ActivityOptions{
		StartToCloseTimeout: 3 * time.Minute,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second,
		},
	}
	ctx = workflow.WithActivityOptions(ctx, options)
	// The list may be long: as long as pages come, it goes on. But a list that
	// cannot be read must not end the sweeps of the rows.
	options.StartToCloseTimeout, options.HeartbeatTimeout = time.Hour, 30*time.Second
	options.ScheduleToCloseTimeout = time.Hour
	node := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), ActivitySweepNode, in)
	for range sweepsPerRun {
		if err := workflow.ExecuteActivity(ctx, ActivitySweepRows).Get(ctx, nil); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, sweepEvery); err != nil {
			return err
		}
		if !node.IsReady() {
			continue
		}
		if err := node.Get(ctx, nil); isOtherNode(err) {
			return err
		}
	}
	if err := node.Get(ctx, nil); temporal.IsCanceledError(err) || isOtherNode(err) {
		return err
	}

	return workflow.NewContinueAsNewError(ctx, NameSweeper, in)
}

// isOtherNode reports that the worker serves no node of this name: the run
// fails, for all to see, instead of sweeping beside the right node's.
func isOtherNode(err error) bool {
	var failed *temporal.ApplicationError

	return errors.As(err, &failed) && failed.Type() == ErrTypeOtherNode
}
