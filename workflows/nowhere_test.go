package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/workflows"
)

// An update without a claim came from nowhere: it ends with one alert, not
// with one for each try until start_by.
func TestUpdateWithoutClaimEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env.OnActivity(workflows.ActivityOpenCharge, mock.Anything, mock.Anything).Return(workflows.ChargeState{},
		temporal.NewNonRetryableApplicationError("no claim", workflows.ErrTypeRowMissing, nil)).Once()
	result := w.openNow()
	w.env.ExecuteWorkflow(workflows.NameCharge, workflows.ChargeInput{ChargeID: chargeID})
	require.True(t, w.env.IsWorkflowCompleted())
	require.Error(t, w.env.GetWorkflowError())
	require.Error(t, *result)
	require.NotErrorIs(t, *result, errPending)
	w.env.AssertExpectations(t)
}
