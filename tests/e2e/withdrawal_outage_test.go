package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/suite"
)

// The worker goes in the middle of payments, and what becomes of them happens
// while it is away. It has the worker to itself until it is back; the proof of
// a failure takes its time, beside the other tests.
func TestWithdrawalsOutliveTheWorker(t *testing.T) {
	c := newClient(t)
	c.Fund(t, 200)
	settled, canceled, later := c.WithdrawHeld(t, 20_000), c.WithdrawHeld(t, 20_000), c.WithdrawHeld(t, 20_000)
	stops := time.Now()
	c.stopWorker(t)
	t.Logf("the worker stopped within %s", time.Since(stops))
	c.Settle(t, settled.Preimage)
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.Hash))
	require.Equal(t, "in_flight", c.Withdrawal(t, settled.ID)["status"], "nobody books without a worker")
	c.RequireBalance(t, 125_000, 75_000)
	require.NoError(t, c.StartWorker(t.Context()))
	back := time.Now()
	withdrawal := c.OverAs(t, settled.ID, 15*time.Second, "")
	t.Logf("succeeded %s after the worker was back", suite.Moment(t, withdrawal, "completed_at").Sub(back))
	settles := time.Now()
	c.Settle(t, later.Preimage)
	withdrawal = c.OverAs(t, later.ID, 15*time.Second, "")
	t.Logf("succeeded %s after the recipient took it", suite.Moment(t, withdrawal, "completed_at").Sub(settles))
	t.Parallel()
	withdrawal = c.OverAs(t, canceled.ID, time.Minute, payments.FailureRejectedByRecipient)
	t.Logf("failed %s after the worker was back", suite.Moment(t, withdrawal, "completed_at").Sub(back))
	c.RequireBalance(t, 160_000, 0)
	c.Agrees(t)
}

// lnd crashes in the middle of payments. It has the node to itself until that
// is back.
func TestWithdrawalsOutliveTheNode(t *testing.T) {
	c := newClient(t)
	c.Fund(t, 200)
	settled, canceled, later := c.WithdrawHeld(t, 20_000), c.WithdrawHeld(t, 20_000), c.WithdrawHeld(t, 20_000)
	require.NoError(t, c.Net.KillMerchant(t.Context()))
	down := time.Now()
	c.Settle(t, settled.Preimage)
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.Hash))
	waiting := suite.Text(c.Withdraw(t, c.Payable(t, 20_000), ""), "id")
	time.Sleep(2 * time.Second)
	require.Equal(t, "pending", c.Withdrawal(t, waiting)["status"], "what the node does not answer is not sent")
	require.Equal(t, "in_flight", c.Withdrawal(t, settled.ID)["status"])
	c.RequireBalance(t, 100_000, 100_000)
	require.NoError(t, c.Net.StartMerchant(t.Context()))
	back := time.Now()
	t.Logf("lnd was away for %s", back.Sub(down))
	for name, id := range map[string]string{"held": settled.ID, "waiting": waiting} {
		withdrawal := c.OverAs(t, id, 40*time.Second, "")
		t.Logf("%s: succeeded %s after lnd was back", name, suite.Moment(t, withdrawal, "completed_at").Sub(back))
	}
	settles := time.Now()
	c.Settle(t, later.Preimage)
	withdrawal := c.OverAs(t, later.ID, 15*time.Second, "")
	t.Logf("succeeded %s after the recipient took it", suite.Moment(t, withdrawal, "completed_at").Sub(settles))
	t.Parallel()
	withdrawal = c.OverAs(t, canceled.ID, time.Minute, payments.FailureRejectedByRecipient)
	t.Logf("failed %s after lnd was back", suite.Moment(t, withdrawal, "completed_at").Sub(back))
	c.RequireBalance(t, 140_000, 0)
	c.Agrees(t)
}
