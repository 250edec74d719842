package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// start runs a charge whose POST came with the start in place of an update.
func (w *world) start(startBy time.Duration) {
	w.env.ExecuteWorkflow(workflows.NameCharge, workflows.ChargeInput{
		ChargeID: chargeID, Open: &workflows.OpenCharge{ChargeID: chargeID, StartBy: w.env.Now().Add(startBy)},
	})
}

func TestChargeThatIsOpenedByItsStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failing int
		repeat  bool
	}{
		"at once": {}, "a node that was away": {failing: 5}, "a repeat of the POST meanwhile": {failing: 3, repeat: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.failing[workflows.ActivityOpenCharge] = test.failing
			if test.repeat {
				opened := w.openNow()
				defer func() { require.NoError(t, *opened) }()
			}
			w.at(2*time.Minute, func() { w.receipt = true; w.nudge() })
			w.start(10 * time.Second)
			require.NoError(t, w.env.GetWorkflowError())
			require.Equal(t, payments.ChargePaid, w.status)
			require.Equal(t, 1, w.credits)
			if test.failing == 0 {
				require.Zero(t, w.calls[workflows.ActivityLookAtCharge], "the happy path needs no extra look")
			}
		})
	}
}

// A worker that is back after an hour must not open what the client has long
// given up.
func TestChargeThatIsOpenedByItsStartTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(-time.Hour)
	var app *temporal.ApplicationError
	require.ErrorAs(t, w.env.GetWorkflowError(), &app)
	require.Equal(t, workflows.ErrTypeRowMissing, app.Type())
	require.False(t, w.exists)
}

func TestAnswersTell(t *testing.T) {
	t.Parallel()
	var nobody *workflows.Answers
	nobody.Tell("a claim")
	(&workflows.Answers{}).Tell("a claim that nobody waits for")
}
