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

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

const withdrawalID = "wd_01test"

// payout stands for the withdrawal activities: each step of the script is what
// the next activity answers, and done remembers which were asked.
type payout struct {
	env    *testsuite.TestWorkflowEnvironment
	script []any // A workflows.WithdrawalState or an error.
	done   []string
	sends  []workflows.SendWithdrawal
	// judge answers once the script is at its end.
	judge func(name string) (workflows.WithdrawalState, error)
}

// next answers the next step of the script; at its end the withdrawal is over.
func (p *payout) next(name string) (workflows.WithdrawalState, error) {
	p.done = append(p.done, name)
	if len(p.script) == 0 && p.judge != nil {
		return p.judge(name)
	}
	if len(p.script) == 0 {
		return workflows.WithdrawalState{Status: payments.WithdrawalSucceeded, PaymentHash: "00"}, nil
	}
	step := p.script[0]
	p.script = p.script[1:]
	if err, ok := step.(error); ok {
		return workflows.WithdrawalState{}, err
	}

	return step.(workflows.WithdrawalState), nil
}

func newPayout(t *testing.T, script ...any) *payout {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	p := &payout{env: suite.NewTestWorkflowEnvironment(), script: script}
	p.env.SetTestTimeout(20 * time.Second)
	p.env.RegisterWorkflowWithOptions(workflows.Withdrawal, workflow.RegisterOptions{Name: workflows.NameWithdrawal})
	register := func(name string, fn any) {
		p.env.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
	for _, name := range []string{
		workflows.ActivityLookAtWithdrawal, workflows.ActivityFollowWithdrawal,
		workflows.ActivitySettleByBook, workflows.ActivityResolveWithdrawal,
	} {
		register(name, func(context.Context, string) (workflows.WithdrawalState, error) { return p.next(name) })
	}
	register(workflows.ActivityHoldWithdrawal, func(context.Context, workflows.HoldWithdrawal) (workflows.WithdrawalState, error) {
		return p.next(workflows.ActivityHoldWithdrawal)
	})
	register(workflows.ActivitySendWithdrawal, func(_ context.Context, in workflows.SendWithdrawal) (workflows.WithdrawalState, error) {
		p.sends = append(p.sends, in)

		return p.next(workflows.ActivitySendWithdrawal)
	})
	register(workflows.ActivityAttemptDelivery, func(context.Context, workflows.DeliveryInput) (workflows.AttemptResult, error) {
		p.done = append(p.done, workflows.ActivityAttemptDelivery)

		return workflows.AttemptResult{Done: true}, nil
	})

	return p
}

func (p *payout) run(t *testing.T) {
	t.Helper()
	p.env.ExecuteWorkflow(workflows.NameWithdrawal, workflows.WithdrawalInput{WithdrawalID: withdrawalID, Look: true})
	require.True(t, p.env.IsWorkflowCompleted())
}

// at is a state that asks for a step, now or later.
func at(status payments.WithdrawalStatus, next workflows.Step, in time.Duration, sends int) workflows.WithdrawalState {
	return workflows.WithdrawalState{Status: status, PaymentHash: "00", Next: next, NextIn: in, Sends: sends, Note: "note"}
}

func TestWithdrawalDoesWhatTheRowAsksFor(t *testing.T) {
	t.Parallel()
	const (
		held, following = payments.WithdrawalHeld, payments.WithdrawalFollowing
		look, send      = workflows.ActivityLookAtWithdrawal, workflows.ActivitySendWithdrawal
		follow          = workflows.ActivityFollowWithdrawal
	)
	over := workflows.WithdrawalState{Status: payments.WithdrawalFailed, PaymentHash: "00", Deliveries: []string{"dlv_1"}}
	away := errors.New("away")
	for name, c := range map[string]struct {
		script []any
		want   []string
	}{
		"sent and paid":        {[]any{at(held, workflows.StepSend, 0, 0)}, []string{look, send}},
		"sent and followed":    {[]any{at(held, workflows.StepSend, 0, 0), at(following, workflows.StepFollow, time.Hour, 1)}, []string{look, send, follow}},
		"sent again":           {[]any{at(following, workflows.StepFollow, 0, 1), at(following, workflows.StepSend, 0, 1)}, []string{look, follow, send}},
		"send later":           {[]any{at(held, workflows.StepSend, time.Hour, 0)}, []string{look, send}},
		"send lost":            {[]any{at(held, workflows.StepSend, 0, 0), away, at(following, workflows.StepFollow, 0, 1)}, []string{look, send, look, follow}},
		"follow fails":         {[]any{at(following, workflows.StepFollow, 0, 1), away, at(following, workflows.StepFollow, 0, 1)}, []string{look, follow, look, follow}},
		"book":                 {[]any{at(held, workflows.StepBook, 0, 0)}, []string{look, workflows.ActivitySettleByBook}},
		"an operator's":        {[]any{at(following, workflows.StepResolve, 0, 1)}, []string{look, workflows.ActivityResolveWithdrawal}},
		"over, to be told":     {[]any{over}, []string{look, workflows.ActivityAttemptDelivery}},
		"nothing was locked":   {[]any{workflows.WithdrawalState{}}, []string{look}},
		"the database is away": {[]any{away, away, over}, []string{look, look, look, workflows.ActivityAttemptDelivery}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPayout(t, c.script...)
			p.run(t)
			require.NoError(t, p.env.GetWorkflowError())
			require.Equal(t, c.want, p.done)
		})
	}
}

// The number of send rows that the decision was made by goes with it.
func TestWithdrawalSendsByTheNumberItSaw(t *testing.T) {
	t.Parallel()
	p := newPayout(t, at(payments.WithdrawalFollowing, workflows.StepSend, 0, 3))
	p.run(t)
	require.Equal(t, []workflows.SendWithdrawal{{WithdrawalID: withdrawalID, Sends: 3}}, p.sends)
}

// A send is tried once: whatever goes wrong is looked into, not repeated.
func TestWithdrawalNeverRetriesASend(t *testing.T) {
	t.Parallel()
	p := newPayout(t, at(payments.WithdrawalHeld, workflows.StepSend, 0, 0), errors.New("lost"))
	p.run(t)
	require.Len(t, p.sends, 1)
	require.Equal(t, workflows.ActivityLookAtWithdrawal, p.done[len(p.done)-1])
}

// A nudge ends the pause of what is followed, and the wait of a review.
func TestWithdrawalNudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first workflows.WithdrawalState
		then  string
	}{
		"followed":     {at(payments.WithdrawalFollowing, workflows.StepFollow, 10*time.Hour, 1), workflows.ActivityFollowWithdrawal},
		"under review": {at(payments.WithdrawalFollowing, workflows.StepWait, 0, 1), workflows.ActivityLookAtWithdrawal},
		"frozen":       {at(payments.WithdrawalHeld, workflows.StepSend, 10*time.Hour, 0), workflows.ActivityLookAtWithdrawal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPayout(t, c.first)
			began := p.env.Now()
			p.env.RegisterDelayedCallback(func() { p.env.SignalWorkflow(workflows.SignalNudge, nil) }, time.Minute)
			p.run(t)
			require.NoError(t, p.env.GetWorkflowError())
			require.Equal(t, []string{workflows.ActivityLookAtWithdrawal, c.then}, p.done)
			require.Less(t, p.env.Now().Sub(began), time.Hour)
		})
	}
}

// The update answers the client; the same task goes on to send.
func TestWithdrawalHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script []any
		wants  error
	}{
		"held":      {[]any{at(payments.WithdrawalHeld, workflows.StepSend, 0, 0)}, nil},
		"refused":   {[]any{workflows.WithdrawalState{}}, nil},
		"away once": {[]any{errors.New("away"), at(payments.WithdrawalHeld, workflows.StepSend, 0, 0)}, nil},
		"too late": {
			[]any{temporal.NewNonRetryableApplicationError("late", workflows.ErrTypeOutcomeUnknown, nil), workflows.WithdrawalState{}},
			workflows.ErrOutcomeUnknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPayout(t, c.script...)
			answered := false
			p.env.RegisterDelayedCallback(func() {
				p.env.UpdateWorkflow(workflows.UpdateHold, "1", &testsuite.TestUpdateCallback{
					OnAccept: func() {}, OnReject: func(err error) { require.NoError(t, err) },
					OnComplete: func(_ any, err error) {
						answered = true
						require.Equal(t, c.wants != nil, err != nil)
					},
				}, workflows.HoldWithdrawal{WithdrawalID: withdrawalID, StartBy: p.env.Now().Add(10 * time.Second)})
			}, 0)
			p.env.ExecuteWorkflow(workflows.NameWithdrawal, workflows.WithdrawalInput{WithdrawalID: withdrawalID})
			require.NoError(t, p.env.GetWorkflowError())
			require.True(t, answered)
			require.Equal(t, workflows.ActivityHoldWithdrawal, p.done[0])
		})
	}
}

func TestWithdrawalRefusesAnothersUpdate(t *testing.T) {
	t.Parallel()
	p := newPayout(t)
	rejected := false
	p.env.RegisterDelayedCallback(func() {
		p.env.UpdateWorkflow(workflows.UpdateHold, "1", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(error) { rejected = true }, OnComplete: func(any, error) {},
		}, workflows.HoldWithdrawal{WithdrawalID: "wd_another"})
	}, 0)
	p.run(t)
	require.True(t, rejected)
}

// Without a row the run ends: only holding makes one.
func TestWithdrawalRowMissing(t *testing.T) {
	t.Parallel()
	p := newPayout(t, temporal.NewNonRetryableApplicationError("no row", workflows.ErrTypeRowMissing, nil))
	p.run(t)
	require.ErrorContains(t, p.env.GetWorkflowError(), "no row")
}

// A book transfer that is over wakes the charge's run.
func TestWithdrawalTellsTheCharge(t *testing.T) {
	t.Parallel()
	p := newPayout(t, workflows.WithdrawalState{Status: payments.WithdrawalSucceeded, PaymentHash: "00", ChargeID: "ch_1"})
	p.env.OnSignalExternalWorkflow("default-test-namespace", "charge/ch_1", "", workflows.SignalNudge, nil).Return(nil).Once()
	p.run(t)
	require.NoError(t, p.env.GetWorkflowError())
	p.env.AssertExpectations(t)
}

// A POST that is repeated while the charge is told, and whose activity fails,
// leaves nothing to go on from: the row is looked at.
func TestWithdrawalHeldWhileTellingTheCharge(t *testing.T) {
	t.Parallel()
	over := workflows.WithdrawalState{
		Status: payments.WithdrawalSucceeded, PaymentHash: "00", ChargeID: "ch_1", Deliveries: []string{"dlv_1"},
	}
	told := over
	told.ChargeID = ""
	p := newPayout(t, over,
		temporal.NewNonRetryableApplicationError("late", workflows.ErrTypeOutcomeUnknown, nil), told)
	p.env.OnSignalExternalWorkflow("default-test-namespace", "charge/ch_1", "", workflows.SignalNudge, nil).
		Return(nil).After(time.Second).Once()
	p.env.RegisterDelayedCallback(func() {
		p.env.UpdateWorkflow(workflows.UpdateHold, "1", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { require.NoError(t, err) }, OnComplete: func(any, error) {},
		}, workflows.HoldWithdrawal{WithdrawalID: withdrawalID, StartBy: p.env.Now().Add(10 * time.Second)})
	}, 500*time.Millisecond)
	p.run(t)
	require.NoError(t, p.env.GetWorkflowError())
	require.Equal(t, []string{
		workflows.ActivityLookAtWithdrawal, workflows.ActivityHoldWithdrawal, workflows.ActivityLookAtWithdrawal,
		workflows.ActivityAttemptDelivery,
	}, p.done)
}

// What a run waits for is told in words.
func TestWithdrawalDescribesItself(t *testing.T) {
	t.Parallel()
	p := newPayout(t, at(payments.WithdrawalFollowing, workflows.StepFollow, time.Hour, 2))
	p.env.RegisterDelayedCallback(func() {
		value, err := p.env.QueryWorkflow(workflows.QueryState)
		require.NoError(t, err)
		var d workflows.WithdrawalDescription
		require.NoError(t, value.Get(&d))
		require.Equal(t, "following", d.Status)
		require.Equal(t, 2, d.Sends)
		require.Contains(t, d.WaitsFor, "note; next look at")
	}, time.Minute)
	p.run(t)
}

func TestQuote(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivityWithOptions(func(_ context.Context, in workflows.QuoteInput) (workflows.QuoteResult, error) {
		return workflows.QuoteResult{Routed: true, FeeMsat: in.AmountMsat / 100}, nil
	}, activity.RegisterOptions{Name: workflows.ActivityEstimateFee})
	env.ExecuteWorkflow(workflows.Quote, workflows.QuoteInput{AmountMsat: 500})
	var result workflows.QuoteResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, workflows.QuoteResult{Routed: true, FeeMsat: 5}, result)
}
