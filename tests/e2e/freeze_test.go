package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// ops runs `lntpay ops` on the stack and returns what it prints.
func (c *client) ops(t *testing.T, args ...string) string {
	t.Helper()
	cmd := ops.Command(func(ctx context.Context, _ string, fn func(context.Context, ops.Backend) error) error {
		return fn(ctx, ops.Backend{
			Store: c.Store, Nudger: &workflows.Starter{Client: c.Temporal, Environment: payments.Sandbox},
		})
	})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--by", "e2e", "--reason", "a test"))
	require.NoError(t, cmd.ExecuteContext(t.Context()), out.String())

	return out.String()
}

// A freeze stops new payouts of a workspace and the sends of those that are
// held. What is in flight is followed to its end, charges are paid, and other
// workspaces go on.
func TestFreeze(t *testing.T) {
	t.Parallel()
	c, other := newClient(t), newClient(t)
	c.fund(t, 1000)
	other.fund(t, 100)
	flying := c.withdrawHeld(t, 20_000)
	waiting := c.frozenBeforeItsSend(t, 30_000)
	bolt11 := c.payable(t, 10_000)
	c.refused(t, bolt11, "", http.StatusUnprocessableEntity, payments.CodePayoutsFrozen)
	c.fund(t, 500)
	c.settle(t, flying.preimage)
	c.overAs(t, flying.id, 20*time.Second, "")
	id := text(other.withdraw(t, other.payable(t, 10_000), ""), "id")
	other.overAs(t, id, 20*time.Second, "")
	require.Eventually(t, func() bool {
		return strings.Contains(c.waitsFor(t, waiting), "payouts are frozen")
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, "pending", c.withdrawal(t, waiting)["status"])
	require.Zero(t, c.sends(t, waiting))
	c.requireBalance(t, 1_445_000, 35_000)

	require.Contains(t, c.ops(t, "thaw", "--workspace", c.workspaceID), "open withdrawals woken: 1")
	thawed := time.Now()
	withdrawal := c.overAs(t, waiting, 20*time.Second, "")
	t.Logf("succeeded %s after the thaw", moment(t, withdrawal, "completed_at").Sub(thawed))
	id = text(c.withdraw(t, bolt11, ""), "id")
	c.overAs(t, id, 20*time.Second, "")
	c.requireBalance(t, 1_440_000, 0)
	c.agrees(t)
	other.agrees(t)
}

// frozenBeforeItsSend is a withdrawal whose workspace is frozen while its funds
// are locked and it is about to be sent.
func (c *client) frozenBeforeItsSend(t *testing.T, amount payments.Msat) (id string) {
	t.Helper()
	bolt11 := c.payable(t, amount)
	hash, err := hashOf(bolt11)
	require.NoError(t, err)
	reached, frozen := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.OnTrack(hash, func() {
		once.Do(func() {
			close(reached)
			<-frozen
		})
	})
	defer close(frozen)
	id = text(c.withdraw(t, bolt11, ""), "id")
	<-reached
	require.Contains(t, c.ops(t, "freeze", "--workspace", c.workspaceID), "frozen: "+c.workspaceID)

	return id
}

// waitsFor is what a withdrawal's run says to an operator.
func (c *client) waitsFor(t *testing.T, id string) string {
	t.Helper()
	answer, err := c.Temporal.QueryWorkflow(t.Context(), workflows.WithdrawalWorkflowID(id), "", workflows.QueryState)
	require.NoError(t, err)
	var state workflows.WithdrawalDescription
	require.NoError(t, answer.Get(&state))

	return state.WaitsFor
}

// The limits are the defaults; a workspace's own reach no other one.
func TestLimits(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	limits := c.Config.Sandbox.Payouts
	c.credit(t, limits.WorkspaceOpenMsat+limits.MaxAmountMsat)
	const amount, refused = 20_000, http.StatusUnprocessableEntity
	c.refused(t, c.payable(t, 0), withAmount(limits.MaxAmountMsat+1), refused, payments.CodeLimitExceeded)

	// What is open counts with its fee limit.
	first := c.hold(t, amount)
	id := text(c.withdraw(t, first.bolt11, fmt.Sprintf(`,"max_fee_msat":%d`, limits.WorkspaceOpenMsat-2*amount)), "id")
	bolt11 := c.payable(t, amount)
	c.refused(t, bolt11, `,"max_fee_msat":1`, refused, payments.CodeLimitExceeded)
	c.requireBalance(t, int64(limits.MaxAmountMsat)+amount, int64(limits.WorkspaceOpenMsat)-amount)
	within := text(c.withdraw(t, c.payable(t, amount), `,"max_fee_msat":0`), "id")
	c.overAs(t, within, 20*time.Second, "")
	c.settle(t, first.preimage)
	c.overAs(t, id, 20*time.Second, "")
	again := text(c.withdraw(t, bolt11, `,"max_fee_msat":1`), "id")
	c.overAs(t, again, 20*time.Second, "")
	c.requireBalance(t, int64(limits.WorkspaceOpenMsat+limits.MaxAmountMsat)-3*amount, 0)
	c.agrees(t)
}
