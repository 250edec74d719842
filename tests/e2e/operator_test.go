package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/lntpay/lntpay/workflows"
)

// The Temporal UI answers "which charges of this workspace wait, and for what".
func TestOperatorFindsWhatWaits(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 10, "")
	id := text(charge, "id")
	require.Eventually(t, func() bool {
		found, err := c.Temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkspaceId = '" + c.workspaceID + "' AND Environment = 'sandbox' AND ExecutionStatus = 'Running'",
		})

		return err == nil && len(found.GetExecutions()) == 1 &&
			found.GetExecutions()[0].GetExecution().GetWorkflowId() == "charge/"+id
	}, 10*time.Second, 100*time.Millisecond)
	answer, err := c.Temporal.QueryWorkflow(t.Context(), "charge/"+id, "", workflows.QueryState)
	require.NoError(t, err)
	var state workflows.ChargeDescription
	require.NoError(t, answer.Get(&state))
	require.Equal(t, "pending", state.Status)
	require.Contains(t, state.WaitsFor, "waiting for payment until ")
}
