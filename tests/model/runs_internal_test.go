package model

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkactivity "go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// told is what an activity answers in a story, and whether a nudge comes while
// the run sleeps on it.
type told struct {
	charge     workflows.ChargeState
	withdrawal workflows.WithdrawalState
	failed     bool
	// nudged is a withdrawal's run, chargeNudged a charge's.
	nudged, chargeNudged bool
}

// nudgeAfter is in the middle of every sleep of a story, and at no moment at
// which a timer fires.
const nudgeAfter = 9773 * time.Millisecond

// story draws what the activities of a run answer, the end last.
func story(draw *rand.Rand) []told {
	sleep := func() time.Duration { return time.Duration(20+draw.IntN(100)) * time.Second }
	var all []told
	for range 3 + draw.IntN(10) {
		one := told{failed: draw.IntN(6) == 0, nudged: draw.IntN(2) == 0}
		one.charge = workflows.ChargeState{
			Status: payments.ChargePending, DueIn: sleep(), HasReceipt: draw.IntN(4) == 0, Claimed: draw.IntN(4) == 0,
		}
		if draw.IntN(4) == 0 {
			one.charge.DueIn = 0
		}
		steps := []workflows.Step{
			workflows.StepSend, workflows.StepFollow, workflows.StepFollow, workflows.StepBook, workflows.StepResolve, workflows.StepWait,
		}
		one.withdrawal = workflows.WithdrawalState{Status: payments.WithdrawalFollowing, Next: steps[draw.IntN(len(steps))]}
		if draw.IntN(2) == 0 {
			one.withdrawal.NextIn = sleep()
		}
		// Only a nudge ends a wait for an operator.
		one.nudged = one.nudged || one.withdrawal.Next == workflows.StepWait
		// A nudge must find the run asleep, or it is a race.
		one.chargeNudged = one.nudged && !one.failed && !one.charge.HasReceipt && (one.charge.Claimed || one.charge.DueIn > 0)
		one.nudged = one.nudged && !one.failed && (one.withdrawal.NextIn > 0 || one.withdrawal.Next == workflows.StepWait)
		all = append(all, one)
	}

	return append(all, told{
		charge: workflows.ChargeState{Status: payments.ChargePaid}, withdrawal: workflows.WithdrawalState{Status: payments.WithdrawalFailed},
	})
}

// wakes reports whether a nudge of the run of an id follows.
func (t told) wakes(id string) bool {
	if strings.HasPrefix(id, payments.PrefixCharge) {
		return t.chargeNudged
	}

	return t.nudged
}

var errPassing = errors.New("away")

// ofWorkflow are the activities that the real workflow runs in a story.
func ofWorkflow(t *testing.T, name, id string, all []told) []string {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterWorkflowWithOptions(workflows.Charge, workflow.RegisterOptions{Name: workflows.NameCharge})
	env.RegisterWorkflowWithOptions(workflows.Withdrawal, workflow.RegisterOptions{Name: workflows.NameWithdrawal})
	var mu sync.Mutex
	var called []string
	next := func(name string) (told, error) {
		mu.Lock()
		defer mu.Unlock()
		one := all[min(len(called), len(all)-1)]
		called = append(called, name)
		if one.wakes(id) {
			env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.SignalNudge, nil) }, nudgeAfter)
		}
		if one.failed {
			return one, errPassing
		}

		return one, nil
	}
	for _, name := range []string{workflows.ActivityLookAtCharge, workflows.ActivitySettleCharge, workflows.ActivityExpireCharge} {
		env.RegisterActivityWithOptions(func(context.Context, string) (workflows.ChargeState, error) {
			one, err := next(name)

			return one.charge, err
		}, sdkactivity.RegisterOptions{Name: name})
	}
	for _, name := range []string{
		workflows.ActivityLookAtWithdrawal, workflows.ActivityFollowWithdrawal, workflows.ActivitySettleByBook, workflows.ActivityResolveWithdrawal,
	} {
		env.RegisterActivityWithOptions(func(context.Context, string) (workflows.WithdrawalState, error) {
			one, err := next(name)

			return one.withdrawal, err
		}, sdkactivity.RegisterOptions{Name: name})
	}
	env.RegisterActivityWithOptions(func(context.Context, workflows.SendWithdrawal) (workflows.WithdrawalState, error) {
		one, err := next(workflows.ActivitySendWithdrawal)

		return one.withdrawal, err
	}, sdkactivity.RegisterOptions{Name: workflows.ActivitySendWithdrawal})
	if name == workflows.NameCharge {
		env.ExecuteWorkflow(name, workflows.ChargeInput{ChargeID: id, Look: true})
	} else {
		env.ExecuteWorkflow(name, workflows.WithdrawalInput{WithdrawalID: id, Look: true})
	}
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())

	return called
}

// ofRun are the activities that the model's run begins in the same story.
func ofRun(t *testing.T, id string, all []told) []string {
	t.Helper()
	w := &world{now: epochStart}
	var called []string
	var answer func()
	w.startActivity = func(a activity, done func(state, error)) *task {
		one := all[min(len(called), len(all)-1)]
		called = append(called, a.name)
		answer = func() {
			if one.wakes(id) {
				w.at(nudgeAfter, func() {
					if len(w.runs) > 0 {
						w.runs[0].nudge()
					}
				})
			}
			if one.failed {
				done(state{}, errPassing)
			} else {
				done(state{charge: &one.charge, withdrawal: &one.withdrawal}, nil)
			}
		}

		return &task{}
	}
	r := w.ensureRun(id, true)
	for range 10 * len(all) {
		w.goOn()
		if answer != nil {
			now := answer
			answer = nil
			now()

			continue
		}
		if r.ended {
			return called
		}
		next, ok := w.nextDue()
		require.True(t, ok, "the run waits for ever after %v", called)
		w.now = next
	}
	require.Fail(t, "the run does not end", "%v", called)

	return nil
}

// TestRunsAreTheWorkflows holds the runs of the model against the real workflows:
// told the same by their activities, and nudged at the same moments, they do the
// same.
func TestRunsAreTheWorkflows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		draw := rand.New(rand.NewPCG(seed, 1))
		all := story(draw)
		charge, withdrawal := "ch_00000000000000000000000001", "wd_00000000000000000000000001"
		require.Equal(t, ofWorkflow(t, workflows.NameCharge, charge, all), ofRun(t, charge, all), "charge, seed %d: %+v", seed, all)
		require.Equal(t, ofWorkflow(t, workflows.NameWithdrawal, withdrawal, all), ofRun(t, withdrawal, all), "withdrawal, seed %d: %+v", seed, all)
	}
}
