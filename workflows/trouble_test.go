package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

// upserted collects what a run sets as PaymentStatus and WorkspaceId.
func upserted(env *testsuite.TestWorkflowEnvironment) *[]string {
	var all []string
	env.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
		attributes := args.Get(0).(temporal.SearchAttributes)
		for _, key := range []temporal.SearchAttributeKeyKeyword{AttrPaymentStatus, AttrWorkspaceID} {
			if value, ok := attributes.GetKeyword(key); ok {
				all = append(all, value)
			}
		}
	}).Return(nil).Maybe()

	return &all
}

// A delivery that fails again in its own workflow can be found, once, with its
// workspace; a run from before that is known goes on as it was.
func TestFailingDeliveryIsMarked(t *testing.T) {
	t.Parallel()
	failed := AttemptResult{NextIn: time.Minute, Failed: true, WorkspaceID: "ws_1", Note: "answered 500"}
	for name, c := range map[string]struct {
		version workflow.Version
		results []AttemptResult
		want    []string
	}{
		"failing":         {1, []AttemptResult{failed, failed, failed}, []string{failingStatus, "ws_1"}},
		"not due, busy":   {1, []AttemptResult{{NextIn: time.Minute}, {NextIn: time.Minute}}, nil},
		"failed for good": {1, []AttemptResult{{Done: true, Failed: true, WorkspaceID: "ws_1"}}, nil},
		"an older run":    {workflow.DefaultVersion, []AttemptResult{failed, failed}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, _ := deliveryEnv(t, func(_ string, n int) (AttemptResult, error) {
				if n > len(c.results) {
					return AttemptResult{Done: true}, nil
				}

				return c.results[n-1], nil
			})
			env.OnGetVersion(changeMarkFailing, workflow.DefaultVersion, workflow.Version(1)).Return(c.version).Maybe()
			got := upserted(env)
			env.ExecuteWorkflow(NameDelivery, DeliveryInput{DeliveryID: "dlv_1"})
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, c.want, *got)
		})
	}
}
