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

// reconciling runs the workflow with a node that answers compare.
func reconciling(t *testing.T, compare func(workflows.ReconcileInput) error) (env *testsuite.TestWorkflowEnvironment, told *[]workflows.ReconcileOutcome) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env = suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	told = &[]workflows.ReconcileOutcome{}
	env.RegisterActivityWithOptions(func(_ context.Context, in workflows.ReconcileInput) (workflows.ReconcileNode, error) {
		return workflows.ReconcileNode{Full: in.Full}, compare(in)
	}, activity.RegisterOptions{Name: workflows.ActivityReconcileNode})
	env.RegisterActivityWithOptions(func(context.Context, workflows.ReconcileInput) (workflows.ReconcileBooks, error) {
		return workflows.ReconcileBooks{}, nil
	}, activity.RegisterOptions{Name: workflows.ActivityReconcileBooks})
	env.RegisterActivityWithOptions(func(_ context.Context, outcome workflows.ReconcileOutcome) (workflows.ReconcileReport, error) {
		*told = append(*told, outcome)

		return workflows.ReconcileReport{
			Full: outcome.Compared != nil && outcome.Compared.Full, New: len(*told), NodeError: outcome.NodeError, NextIn: time.Hour,
		}, nil
	}, activity.RegisterOptions{Name: workflows.ActivityFinishReconcile})
	env.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.NameReconcile})

	return env, told
}

// Whoever asks gets the report of a reconciliation that began after the question,
// and a full one if that is what they asked for; the hours go on.
func TestReconcileByHand(t *testing.T) {
	t.Parallel()
	env, told := reconciling(t, func(workflows.ReconcileInput) error { return nil })
	var report workflows.ReconcileReport
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(workflows.UpdateReconcile, "asked", &testsuite.TestUpdateCallback{
			OnAccept:   func() {},
			OnReject:   func(err error) { require.NoError(t, err) },
			OnComplete: func(answer any, err error) { require.NoError(t, err); report, _ = answer.(workflows.ReconcileReport) },
		}, workflows.ReconcileInput{Node: "merchant", Full: true})
	}, 30*time.Minute)
	env.ExecuteWorkflow(workflows.NameReconcile, workflows.ReconcileInput{Node: "merchant", Full: true})
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
	require.Len(t, *told, 24)
	require.Equal(t, 2, report.New, "the second, not the one that had been")
	require.True(t, report.Full)
	require.True(t, (*told)[0].Compared.Full, "the first of a life")
	require.False(t, (*told)[2].Compared.Full)
}

// A node that is away hides nothing of what the books say.
func TestReconcileWithoutTheNode(t *testing.T) {
	t.Parallel()
	env, told := reconciling(t, func(workflows.ReconcileInput) error { return errors.New("away") })
	env.ExecuteWorkflow(workflows.NameReconcile, workflows.ReconcileInput{Node: "merchant"})
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
	require.Len(t, *told, 24)
	require.Nil(t, (*told)[0].Compared)
	require.Contains(t, (*told)[0].NodeError, "away")
}

func TestReconcileOfAnotherNodeEnds(t *testing.T) {
	t.Parallel()
	env, told := reconciling(t, func(workflows.ReconcileInput) error {
		return temporal.NewNonRetryableApplicationError("not served", workflows.ErrTypeOtherNode, nil)
	})
	env.ExecuteWorkflow(workflows.NameReconcile, workflows.ReconcileInput{Node: "old"})
	require.ErrorContains(t, env.GetWorkflowError(), "not served")
	require.Empty(t, *told)
}
