package suite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/lntpay/lntpay/workflows"
)

// The Temporal UI answers "which charges of this workspace wait, and for what".
func testOperatorFindsWhatWaits(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 10, "")
	id := Text(charge, "id")
	for _, query := range []string{
		"WorkspaceId = '" + c.WorkspaceID + "' AND Environment = 'sandbox' AND ExecutionStatus = 'Running'",
		"PaymentHash = '" + Text(charge, "payment_hash") + "' AND PaymentStatus = 'pending' AND AmountMsat = 10000",
	} {
		require.Eventually(t, func() bool { return c.finds(t, query, "charge/"+id) }, 10*time.Second, 100*time.Millisecond, query)
	}
	answer, err := c.Temporal.QueryWorkflow(t.Context(), "charge/"+id, "", workflows.QueryState)
	require.NoError(t, err)
	var state workflows.ChargeDescription
	require.NoError(t, answer.Get(&state))
	require.Equal(t, "pending", state.Status)
	require.Contains(t, state.WaitsFor, "waiting for payment until ")

	c.Pay(t, charge, 0)
	query := "PaymentHash = '" + Text(charge, "payment_hash") + "' AND PaymentStatus = 'paid' AND ExecutionStatus = 'Completed'"
	require.Eventually(t, func() bool { return c.finds(t, query, "charge/"+id) }, 10*time.Second, 100*time.Millisecond, query)
}

// finds reports whether a search of the UI gives exactly this workflow.
func (c *Client) finds(t *testing.T, query, workflowID string) bool {
	t.Helper()
	found, err := c.Temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})

	return err == nil && len(found.GetExecutions()) == 1 &&
		found.GetExecutions()[0].GetExecution().GetWorkflowId() == workflowID
}
