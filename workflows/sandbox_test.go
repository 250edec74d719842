package workflows_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/workflows"
)

const sandboxID = "sbp_01test"

// playground stands for the sandbox's activities.
type playground struct {
	env *testsuite.TestWorkflowEnvironment
	// decide and pay are what the next calls answer: a result or an error. At
	// their end a payment was accepted, and made.
	decide, pay []any
	decided     []workflows.DecideSandbox
	paid        int
}

func newPlayground(decide, pay []any) *playground {
	var suite testsuite.WorkflowTestSuite
	p := &playground{env: suite.NewTestWorkflowEnvironment(), decide: decide, pay: pay}
	p.env.SetTestTimeout(20 * time.Second)
	p.env.RegisterWorkflowWithOptions(workflows.Sandbox, workflow.RegisterOptions{Name: workflows.NameSandbox})
	p.env.RegisterActivityWithOptions(func(_ context.Context, in workflows.DecideSandbox) (workflows.SandboxState, error) {
		p.decided = append(p.decided, in)

		return take(&p.decide, workflows.SandboxState{Status: http.StatusAccepted, Pay: true})
	}, activity.RegisterOptions{Name: workflows.ActivityDecideSandbox})
	p.env.RegisterActivityWithOptions(func(context.Context, string) (workflows.SandboxResult, error) {
		p.paid++

		return take(&p.pay, workflows.SandboxResult{Outcome: "paid 21 msat"})
	}, activity.RegisterOptions{Name: workflows.ActivityPaySandboxCharge})

	return p
}

// take is the next answer of a script, or the last one.
func take[T any](script *[]any, last T) (T, error) {
	if len(*script) == 0 {
		return last, nil
	}
	step := (*script)[0]
	*script = (*script)[1:]
	if err, ok := step.(error); ok {
		return last, err
	}

	return step.(T), nil
}

// ask sends the update of a POST and returns what it ended with.
func (p *playground) ask(after time.Duration, claimID string) <-chan error {
	ended := make(chan error, 1)
	p.env.RegisterDelayedCallback(func() {
		p.env.UpdateWorkflow(workflows.UpdateDecide, after.String(), &testsuite.TestUpdateCallback{
			OnReject:   func(err error) { ended <- err },
			OnAccept:   func() {},
			OnComplete: func(_ any, err error) { ended <- err },
		}, workflows.DecideSandbox{ClaimID: claimID, StartBy: p.env.Now().Add(10 * time.Second)})
	}, after)

	return ended
}

func (p *playground) run(t *testing.T) string {
	t.Helper()
	p.env.ExecuteWorkflow(workflows.NameSandbox, workflows.SandboxInput{ClaimID: sandboxID})
	require.True(t, p.env.IsWorkflowCompleted())
	require.NoError(t, p.env.GetWorkflowError())
	var result workflows.SandboxResult
	require.NoError(t, p.env.GetWorkflowResult(&result))

	return result.Outcome
}

func TestSandboxRuns(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	unknown := temporal.NewNonRetryableApplicationError("late", workflows.ErrTypeOutcomeUnknown, nil)
	noWay := temporal.NewApplicationError("no route", workflows.ErrTypePaymentFailed)
	refused := temporal.NewNonRetryableApplicationError("canceled", workflows.ErrTypeNotPaid, nil)
	for name, c := range map[string]struct {
		decide, pay []any
		outcome     string
		decided     int
		paid        int
		wantErr     bool
	}{
		"paid":             {outcome: "paid 21 msat", decided: 1, paid: 1},
		"the node is slow": {decide: []any{away, away}, outcome: "paid 21 msat", decided: 3, paid: 1},
		"no payment":       {decide: []any{workflows.SandboxState{Status: 201}}, outcome: "answered with 201", decided: 1},
		"refused": {
			decide: []any{workflows.SandboxState{Status: 409}}, outcome: "answered with 409", decided: 1,
		},
		"too late":               {decide: []any{unknown, unknown}, outcome: "nothing was decided", decided: 2, wantErr: true},
		"decided by another run": {decide: []any{unknown}, outcome: "paid 21 msat", decided: 2, paid: 1, wantErr: true},
		"a second try":           {pay: []any{away}, outcome: "paid 21 msat", decided: 1, paid: 2},
		"never":                  {pay: []any{away, away, away, away, away, away}, outcome: "not known to be paid: away", decided: 1, paid: 5},
		"no way": {
			pay: []any{away, noWay, noWay, noWay, noWay}, outcome: "not paid: no route", decided: 1, paid: 5,
		},
		"in vain": {pay: []any{refused}, outcome: "not paid: canceled", decided: 1, paid: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayground(c.decide, c.pay)
			asked := p.ask(0, sandboxID)
			require.Equal(t, c.outcome, p.run(t))
			if err := <-asked; c.wantErr {
				require.ErrorContains(t, err, "outcome unknown")
			} else {
				require.NoError(t, err)
			}
			require.Len(t, p.decided, c.decided)
			require.Equal(t, c.paid, p.paid)
		})
	}
}

// A run whose update was lost with its worker looks at the claim, and decides
// nothing by itself: it has no time to do so.
func TestSandboxRunWithoutItsUpdate(t *testing.T) {
	t.Parallel()
	p := newPlayground(nil, nil)
	require.Equal(t, "paid 21 msat", p.run(t))
	require.Equal(t, []workflows.DecideSandbox{{ClaimID: sandboxID}}, p.decided)

	gone := make([]any, 20)
	for i := range gone {
		gone[i] = errors.New("the database is away")
	}
	p = newPlayground(gone, nil)
	require.Equal(t, "nothing was decided", p.run(t), "it ends")
	require.Zero(t, p.paid)
}

// A repeat that comes while the run pays is answered, and nothing is paid
// twice.
func TestSandboxRunIsAskedAgain(t *testing.T) {
	t.Parallel()
	p := newPlayground(nil, []any{errors.New("away")})
	first, again, foreign := p.ask(0, sandboxID), p.ask(500*time.Millisecond, sandboxID), p.ask(600*time.Millisecond, "sbp_other")
	require.Equal(t, "paid 21 msat", p.run(t))
	require.NoError(t, <-first)
	require.NoError(t, <-again)
	require.ErrorContains(t, <-foreign, sandboxID)
	require.Equal(t, 2, p.paid, "one of them failed")
}
