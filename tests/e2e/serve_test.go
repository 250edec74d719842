package e2e_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/suite"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// eagerBudget is what a paid charge without endpoints costs in state transitions
// where API and worker are one process: one fewer than elsewhere.
const eagerBudget = 3

// serve is an API and a worker that share what they share in `lntpay serve`,
// beside those of the stack. stopWorker ends its worker.
func serve(t *testing.T, c *client) (url string, stopWorker func()) {
	t.Helper()
	temporal, err := workflows.Dial(c.Config.Sandbox.Temporal.Address, c.Config.Sandbox.Temporal.Namespace, c.Log)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	answers := &workflows.Answers{}
	w, err := worker.New(t.Context(), payments.Sandbox, c.Config.Sandbox, c.Config.Webhooks, prometheus.NewRegistry(), c.Log,
		func(w *worker.Worker) { w.Temporal, w.Answers = temporal, answers })
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopWorker = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
		w.Close()
	})
	t.Cleanup(stopWorker)
	starter := &workflows.Starter{Client: temporal, Environment: payments.Sandbox, Answers: answers}
	server, err := api.New(api.Options{
		Config: c.Config.API, Log: c.Log,
		Environments: map[payments.Environment]api.Environment{payments.Sandbox: {
			Store: c.Store, Charges: starter, Withdrawals: starter, Deliveries: starter, Sandbox: starter,
			Payouts: c.Config.Sandbox.Payouts,
		}},
	})
	require.NoError(t, err)
	listening := httptest.NewServer(server.Handler())
	t.Cleanup(listening.Close)

	return listening.URL, stopWorker
}

// Where API and worker are one process, a charge's run begins its first task
// with its start, and the POST is answered without an update. What another run
// or another worker has is asked for by one, as elsewhere.
//
// It has the stack to itself: beside it the second worker would take tasks of
// other tests, without their hooks, and keep them waiting when it stops.
func TestOneProcessOpensChargesEagerly(t *testing.T) {
	c := newClient(t)
	url, stopWorker := serve(t, c)
	eager := *outside(c.Stack)
	eager.APIURL = url
	one := *c.Client
	one.Stack = &eager

	require.Eventually(t, func() bool {
		charge := one.Charge(t, 100, "")
		one.Pay(t, charge, 0)
		require.Equal(t, "paid", one.Await(t, suite.Text(charge, "id"))["status"])
		transitions := one.RequireClosed(t, suite.Text(charge, "id"))
		t.Logf("%d state transitions", transitions)
		if transitions > eagerBudget {
			return false
		}
		one.KeepHistory(t, "charge-eager", "charge/"+suite.Text(charge, "id"))

		return true
	}, time.Minute, time.Millisecond, "no charge was opened by its start; the worker polls by then")

	const callers = 16
	answers := make(chan string, callers)
	for range callers {
		go func() {
			_, answer, _ := one.Call(t, "POST", "/v1/charges", `{"amount_sats":7}`, "Idempotency-Key", "one")
			answers <- fmt.Sprint(answer)
		}()
	}
	first := <-answers
	require.Contains(t, first, "lnbcrt")
	for range callers - 1 {
		require.Equal(t, first, <-answers)
	}

	// A worker that is gone takes no first task; the stack's has the run.
	stopWorker()
	charge := one.Charge(t, 100, "")
	require.Equal(t, "pending", charge["status"])
	one.Pay(t, charge, 0)
	require.Equal(t, "paid", one.Await(t, suite.Text(charge, "id"))["status"])
}
