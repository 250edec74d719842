package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// A withdrawal under review can be found by its status, and is what it was once
// it goes on; a run from before that is known shows the row's status throughout.
func TestReviewIsMarked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version workflow.Version
		want    []string
	}{
		"now":          {1, []string{"following", "under_review", "following", "succeeded"}},
		"an older run": {workflow.DefaultVersion, []string{"following", "succeeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPayout(t, at(payments.WithdrawalFollowing, workflows.StepFollow, 0, 1),
				at(payments.WithdrawalFollowing, workflows.StepWait, 0, 1), at(payments.WithdrawalFollowing, workflows.StepFollow, 0, 1))
			p.env.OnGetVersion("mark-under-review", workflow.DefaultVersion, workflow.Version(1)).Return(c.version).Maybe()
			var got []string
			p.env.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
				status, _ := args.Get(0).(temporal.SearchAttributes).GetKeyword(workflows.AttrPaymentStatus)
				got = append(got, status)
			}).Return(nil)
			p.env.RegisterDelayedCallback(func() { p.env.SignalWorkflow(workflows.SignalNudge, nil) }, time.Hour)
			p.run(t)
			require.NoError(t, p.env.GetWorkflowError())
			require.Equal(t, c.want, got)
		})
	}
}
