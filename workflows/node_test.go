package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/workflows"
)

// The node's list may stay unreadable for as long as it likes: the sweeper
// comes back for the rows all the same, and for the list with the next run.
func TestSweeperOutlivesAListThatCannotBeRead(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	rows := 0
	env.RegisterActivityWithOptions(func(context.Context, workflows.NodeInput) error {
		return errors.New("unreadable")
	}, activity.RegisterOptions{Name: workflows.ActivitySweepNode})
	env.RegisterActivityWithOptions(func(context.Context) error {
		rows++

		return nil
	}, activity.RegisterOptions{Name: workflows.ActivitySweepRows})
	env.RegisterWorkflowWithOptions(workflows.Sweeper, workflow.RegisterOptions{Name: workflows.NameSweeper})
	env.ExecuteWorkflow(workflows.NameSweeper, workflows.NodeInput{Node: "merchant"})
	require.True(t, env.IsWorkflowCompleted())
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
	require.Equal(t, 60, rows)
}

// The sweeper of a node's old name fails, for all to see.
func TestSweeperOfAnotherNodeEnds(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivityWithOptions(func(context.Context, workflows.NodeInput) error {
		return temporal.NewNonRetryableApplicationError("not served", workflows.ErrTypeOtherNode, nil)
	}, activity.RegisterOptions{Name: workflows.ActivitySweepNode})
	env.RegisterActivityWithOptions(func(context.Context) error { return nil },
		activity.RegisterOptions{Name: workflows.ActivitySweepRows})
	env.RegisterWorkflowWithOptions(workflows.Sweeper, workflow.RegisterOptions{Name: workflows.NameSweeper})
	env.ExecuteWorkflow(workflows.NameSweeper, workflows.NodeInput{Node: "old"})
	require.True(t, env.IsWorkflowCompleted())
	require.ErrorContains(t, env.GetWorkflowError(), "not served")
	require.False(t, workflow.IsContinueAsNewError(env.GetWorkflowError()))
}
