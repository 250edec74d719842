package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// The worker goes in the middle of payments, and what becomes of them happens
// while it is away. It has the worker to itself until it is back; the proof of
// a failure takes its time, beside the other tests.
func TestWithdrawalsOutliveTheWorker(t *testing.T) {
	c := newClient(t)
	c.fund(t, 200)
	settled, canceled, later := c.withdrawHeld(t, 20_000), c.withdrawHeld(t, 20_000), c.withdrawHeld(t, 20_000)
	stops := time.Now()
	c.stopWorker(t)
	t.Logf("the worker stopped within %s", time.Since(stops))
	c.settle(t, settled.preimage)
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.hash))
	require.Equal(t, "in_flight", c.withdrawal(t, settled.id)["status"], "nobody books without a worker")
	c.requireBalance(t, 125_000, 75_000)
	require.NoError(t, c.StartWorker(t.Context()))
	back := time.Now()
	withdrawal := c.overAs(t, settled.id, 15*time.Second, "")
	t.Logf("succeeded %s after the worker was back", moment(t, withdrawal, "completed_at").Sub(back))
	settles := time.Now()
	c.settle(t, later.preimage)
	withdrawal = c.overAs(t, later.id, 15*time.Second, "")
	t.Logf("succeeded %s after the recipient took it", moment(t, withdrawal, "completed_at").Sub(settles))
	t.Parallel()
	withdrawal = c.overAs(t, canceled.id, time.Minute, payments.FailureRejectedByRecipient)
	t.Logf("failed %s after the worker was back", moment(t, withdrawal, "completed_at").Sub(back))
	c.requireBalance(t, 160_000, 0)
	c.agrees(t)
}

// lnd crashes in the middle of payments. It has the node to itself until that
// is back.
func TestWithdrawalsOutliveTheNode(t *testing.T) {
	c := newClient(t)
	c.fund(t, 200)
	settled, canceled, later := c.withdrawHeld(t, 20_000), c.withdrawHeld(t, 20_000), c.withdrawHeld(t, 20_000)
	require.NoError(t, c.Net.KillMerchant(t.Context()))
	down := time.Now()
	c.settle(t, settled.preimage)
	require.NoError(t, c.Net.CancelHoldInvoice(t.Context(), canceled.hash))
	waiting := text(c.withdraw(t, c.payable(t, 20_000), ""), "id")
	time.Sleep(2 * time.Second)
	require.Equal(t, "pending", c.withdrawal(t, waiting)["status"], "what the node does not answer is not sent")
	require.Equal(t, "in_flight", c.withdrawal(t, settled.id)["status"])
	c.requireBalance(t, 100_000, 100_000)
	require.NoError(t, c.Net.StartMerchant(t.Context()))
	back := time.Now()
	t.Logf("lnd was away for %s", back.Sub(down))
	for name, id := range map[string]string{"held": settled.id, "waiting": waiting} {
		withdrawal := c.overAs(t, id, 40*time.Second, "")
		t.Logf("%s: succeeded %s after lnd was back", name, moment(t, withdrawal, "completed_at").Sub(back))
	}
	settles := time.Now()
	c.settle(t, later.preimage)
	withdrawal := c.overAs(t, later.id, 15*time.Second, "")
	t.Logf("succeeded %s after the recipient took it", moment(t, withdrawal, "completed_at").Sub(settles))
	t.Parallel()
	withdrawal = c.overAs(t, canceled.id, time.Minute, payments.FailureRejectedByRecipient)
	t.Logf("failed %s after lnd was back", moment(t, withdrawal, "completed_at").Sub(back))
	c.requireBalance(t, 140_000, 0)
	c.agrees(t)
}
