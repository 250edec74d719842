package e2e_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/suite"
)

// What the node settles while no worker runs is credited when one is back.
// This test has the worker to itself: the others run in parallel, after it.
func TestSettledWhileTheWorkerWasAway(t *testing.T) {
	c := newClient(t)
	charges := make([]suite.Object, 6)
	for i := range charges {
		charges[i] = c.Charge(t, 10, "")
	}
	c.stopWorker(t)
	var group sync.WaitGroup
	for _, charge := range charges {
		group.Go(func() {
			_, err := c.Net.Pay(t.Context(), suite.Text(charge, "bolt11"), 0)
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	_, still, _ := c.Call(t, "GET", "/v1/charges/"+suite.Text(charges[0], "id"), "")
	require.Equal(t, "pending", still["status"], "nobody credits without a worker")
	require.NoError(t, c.StartWorker(t.Context()))
	for _, charge := range charges {
		require.Equal(t, "paid", c.Await(t, suite.Text(charge, "id"))["status"])
	}
	c.RequireBooks(t, 60_000, len(charges))
}

// stopWorker stops it in good order. Whatever becomes of the test, the next one
// has a worker.
func (c *client) stopWorker(t *testing.T) {
	t.Helper()
	require.NoError(t, c.StopWorker())
	t.Cleanup(func() { require.NoError(t, c.StartWorker(context.WithoutCancel(t.Context()))) })
}
