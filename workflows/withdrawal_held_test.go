package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// suggested is the number of events at which Temporal suggests to continue
	// as new (limit.historyCount.suggestContinueAsNew).
	suggested = 4096
	// longest is what the last steps of a run may add to that.
	longest = suggested + 20
	day     = 24 * time.Hour
	// perTask are the events of a workflow task: scheduled, started, completed.
	perTask = 3
)

// heldPayment is a payment that its recipient keeps for days, followed by one
// run after another.
type heldPayment struct {
	sent, settled time.Time
	// nudgeEvery is how often the node's stream wakes the run; 0 for never.
	nudgeEvery time.Duration
	// away says that the node does not answer.
	away bool
	// looks are those at the node.
	looks int
	told  int
}

// judge answers as the activities would: the longer it takes, the rarer the
// looks.
func (h *heldPayment) judge(name string, now time.Time) workflows.WithdrawalState {
	over := !now.Before(h.settled)
	switch {
	case name == workflows.ActivityLookAtWithdrawal && (!over || h.told == 0):
		return at(payments.WithdrawalFollowing, workflows.StepFollow, 0, 1)
	case over:
		return workflows.WithdrawalState{Status: payments.WithdrawalSucceeded, PaymentHash: "00", Deliveries: []string{"dlv_1"}[h.told:]}
	case h.away:
		h.looks++

		return at(payments.WithdrawalFollowing, workflows.StepFollow, 10*time.Second, 1)
	}
	h.looks++
	pause := min(max(now.Sub(h.sent)/6, 10*time.Second), 10*time.Minute)

	return at(payments.WithdrawalFollowing, workflows.StepFollow, pause, 1)
}

// follow is one run from a moment on. It returns when it ended, how many events
// its history has, and its input if it continues as new.
func (h *heldPayment) follow(t *testing.T, from time.Time, in workflows.WithdrawalInput,
) (until time.Time, events int, next *workflows.WithdrawalInput) {
	t.Helper()
	p := newPayout(t)
	p.env.SetStartTime(from)
	p.judge = func(name string) (workflows.WithdrawalState, error) { return h.judge(name, p.env.Now()), nil }
	events = 1 + perTask
	add := func(n int) {
		if events += n; events >= suggested {
			p.env.SetContinueAsNewSuggested(true)
		}
	}
	p.env.SetOnTimerScheduledListener(func(string, time.Duration) { add(1) })
	p.env.SetOnTimerFiredListener(func(string) { add(1 + perTask) })
	p.env.SetOnTimerCanceledListener(func(string) { add(1) })
	p.env.SetOnLocalActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { add(1) })
	p.env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { add(3 + perTask) })
	p.env.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(mock.Arguments) { add(1) }).Return(nil).Maybe()
	h.nudge(p, add)
	p.env.ExecuteWorkflow(workflows.NameWithdrawal, in)
	for _, name := range p.done {
		if name == workflows.ActivityAttemptDelivery {
			h.told++
		}
	}

	return p.env.Now(), events, continued(t, p.env.GetWorkflowError())
}

// nudge wakes the run again and again.
func (h *heldPayment) nudge(p *payout, add func(events int)) {
	if h.nudgeEvery == 0 {
		return
	}
	var again func()
	again = func() {
		if p.env.IsWorkflowCompleted() {
			return
		}
		add(2 + perTask)
		p.env.UpdateWorkflow(workflows.UpdateNudge, payments.NewID("upd"), &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(any, error) {},
		}, workflows.Nudge{ID: withdrawalID})
		p.env.RegisterDelayedCallback(again, h.nudgeEvery)
	}
	p.env.RegisterDelayedCallback(again, h.nudgeEvery)
}

// continued is the input of the next run; nil if the run has ended.
func continued(t *testing.T, err error) *workflows.WithdrawalInput {
	t.Helper()
	if err == nil {
		return nil
	}
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &again)
	require.Equal(t, workflows.NameWithdrawal, again.WorkflowType.Name)
	var in workflows.WithdrawalInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))

	return &in
}

// A payment that is held for days is followed by runs whose histories stay
// small: each continues as a new one, which looks at the row at once, and the
// last one ends and tells once.
func TestWithdrawalHeldForDays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		held    heldPayment
		lasting time.Duration
		// perLook is what one look may cost, and runs how many there are at
		// least.
		perLook, runs int
	}{
		"left alone":        {heldPayment{}, 14 * day, 6, 3},
		"nudged":            {heldPayment{nudgeEvery: 3 * time.Minute}, 14 * day, 8, 10},
		"the node is away":  {heldPayment{away: true}, day, 6, 12},
		"over within a run": {heldPayment{}, time.Hour, 7, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := c.held
			h.sent = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			h.settled = h.sent.Add(c.lasting)
			in, now, runs, total := &workflows.WithdrawalInput{WithdrawalID: withdrawalID, Look: true}, h.sent, 0, 0
			for in != nil {
				var events int
				now, events, in = h.follow(t, now, *in)
				require.Less(t, events, longest)
				if in != nil {
					require.Equal(t, workflows.WithdrawalInput{WithdrawalID: withdrawalID, Look: true}, *in)
				}
				total += events
				runs++
				require.LessOrEqual(t, runs, 2*c.runs)
			}
			require.GreaterOrEqual(t, runs, c.runs)
			require.LessOrEqual(t, total, c.perLook*(h.looks+10*runs))
			require.Equal(t, 1, h.told)
			require.WithinDuration(t, h.settled, now, 10*time.Minute)
			t.Logf("%d events in %d runs for %d looks", total, runs, h.looks)
		})
	}
}
