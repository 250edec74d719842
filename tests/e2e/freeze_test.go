package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/suite"
	"github.com/lntpay/lntpay/workflows"
)

// A freeze stops new payouts of a workspace and the sends of those that are
// held. What is in flight is followed to its end, charges are paid, and other
// workspaces go on.
func TestFreeze(t *testing.T) {
	t.Parallel()
	c, other := newClient(t), newClient(t)
	c.Fund(t, 1000)
	other.Fund(t, 100)
	flying := c.WithdrawHeld(t, 20_000)
	waiting := c.frozenBeforeItsSend(t, 30_000)
	bolt11 := c.Payable(t, 10_000)
	c.Refused(t, bolt11, "", http.StatusUnprocessableEntity, payments.CodePayoutsFrozen)
	c.Fund(t, 500)
	c.Settle(t, flying.Preimage)
	c.OverAs(t, flying.ID, 20*time.Second, "")
	id := suite.Text(other.Withdraw(t, other.Payable(t, 10_000), ""), "id")
	other.OverAs(t, id, 20*time.Second, "")
	require.Eventually(t, func() bool {
		return strings.Contains(c.waitsFor(t, waiting), "payouts are frozen")
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, "pending", c.Withdrawal(t, waiting)["status"])
	require.Zero(t, c.sends(t, waiting))
	c.RequireBalance(t, 1_445_000, 35_000)

	require.Contains(t, c.Ops(t, "thaw", "--workspace", c.WorkspaceID), "open withdrawals woken: 1")
	thawed := time.Now()
	withdrawal := c.OverAs(t, waiting, 20*time.Second, "")
	t.Logf("succeeded %s after the thaw", suite.Moment(t, withdrawal, "completed_at").Sub(thawed))
	id = suite.Text(c.Withdraw(t, bolt11, ""), "id")
	c.OverAs(t, id, 20*time.Second, "")
	c.RequireBalance(t, 1_440_000, 0)
	c.Agrees(t)
	other.Agrees(t)
}

// frozenBeforeItsSend is a withdrawal whose workspace is frozen while its funds
// are locked and it is about to be sent.
func (c *client) frozenBeforeItsSend(t *testing.T, amount payments.Msat) (id string) {
	t.Helper()
	bolt11 := c.Payable(t, amount)
	hash, err := suite.HashOf(bolt11)
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
	id = suite.Text(c.Withdraw(t, bolt11, ""), "id")
	<-reached
	require.Contains(t, c.Ops(t, "freeze", "--workspace", c.WorkspaceID), "frozen: "+c.WorkspaceID)

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
