package e2e_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the node settles while no worker runs is credited when one is back.
// This test has the worker to itself: the others run in parallel, after it.
func TestSettledWhileTheWorkerWasAway(t *testing.T) {
	c := newClient(t)
	charges := make([]object, 6)
	for i := range charges {
		charges[i] = c.charge(t, 10, "")
	}
	c.stopWorker(t)
	var group sync.WaitGroup
	for _, charge := range charges {
		group.Go(func() {
			_, err := c.Net.Pay(t.Context(), text(charge, "bolt11"), 0)
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	_, still, _ := c.call(t, "GET", "/v1/charges/"+text(charges[0], "id"), "")
	require.Equal(t, "pending", still["status"], "nobody credits without a worker")
	require.NoError(t, c.StartWorker(t.Context()))
	for _, charge := range charges {
		require.Equal(t, "paid", c.await(t, text(charge, "id"))["status"])
	}
	c.requireBooks(t, 60_000, len(charges))
}

// stopWorker stops it in good order. Whatever becomes of the test, the next one
// has a worker.
func (c *client) stopWorker(t *testing.T) {
	t.Helper()
	require.NoError(t, c.StopWorker())
	t.Cleanup(func() { require.NoError(t, c.StartWorker(context.WithoutCancel(t.Context()))) })
}
