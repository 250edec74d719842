package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/stack"
	"github.com/lntpay/lntpay/tests/suite"
	"github.com/lntpay/lntpay/workflows"
)

// bill is what a withdrawal is asked to pay.
type bill string

const (
	plain     bill = "plain"
	heldBill  bill = "held, then taken"
	refused   bill = "unknown to its recipient"
	ownCharge bill = "a charge of another workspace"
)

// killing is a withdrawal whose worker dies at a point of it.
type killing struct {
	name string
	at   stack.Point
	bill bill
	// sends are how many licences it takes in all.
	sends int
	// early says that the worker dies before the POST is answered: a book
	// transfer goes on in the task that holds the funds.
	early bool

	held   suite.Held
	bolt11 string
	answer chan suite.Object
}

// killings are the points between each two steps of a withdrawal.
func killings() []*killing {
	return []*killing{
		{
			name: "after the hold, before its answer", at: stack.After(workflows.ActivityHoldWithdrawal),
			bill: plain, sends: 1, early: true,
		},
		{name: "after the hold", at: stack.Before(workflows.ActivitySendWithdrawal), bill: plain, sends: 1},
		{name: "after the licence, before the send", at: stack.Before(stack.CallSendPayment), bill: plain, sends: 2},
		{name: "while it is in flight", at: stack.During(stack.CallSendPayment), bill: heldBill, sends: 1},
		{name: "after SUCCEEDED, before the books", at: stack.After(stack.CallSendPayment), bill: plain, sends: 1},
		{name: "after FAILED, before the void", at: stack.After(stack.CallSendPayment), bill: refused, sends: 1},
		{name: "after the post", at: stack.After(workflows.ActivitySendWithdrawal), bill: plain, sends: 1},
		{name: "after the void", at: stack.After(workflows.ActivitySendWithdrawal), bill: refused, sends: 1},
		{name: "before the delivery", at: stack.Before(workflows.ActivityAttemptDelivery), bill: plain, sends: 1},
		{name: "after the delivery", at: stack.After(workflows.ActivityAttemptDelivery), bill: plain, sends: 1},
		{name: "book: before the cancel", at: stack.Before(stack.CallCancelInvoice), bill: ownCharge, early: true},
		{name: "book: after the cancel, before the books", at: stack.After(stack.CallCancelInvoice), bill: ownCharge, early: true},
		// The commit of the books wakes the POST, whose answer was frozen before.
		{name: "book: after the books", at: stack.After(workflows.ActivitySettleByBook), bill: ownCharge},
	}
}

// The worker is killed between each two steps of a withdrawal, each time a
// process of its own, by SIGKILL. This test has the worker to itself until the
// last one is back; what the killed ones left is found out beside other tests.
func TestWorkerKilledBetweenSteps(t *testing.T) {
	const amount, count = 20_000, 13
	c, payee := newClient(t), newClient(t)
	c.Fund(t, 1000)
	url, got := c.Receive(t)
	c.Subscribe(t, url)
	all := killings()
	require.Len(t, all, count)
	for _, k := range all {
		c.makeBill(t, payee, k, amount)
	}
	c.stopWorker(t)
	var posts sync.WaitGroup
	t.Cleanup(posts.Wait)
	for _, k := range all {
		c.killAt(t, k, &posts)
	}
	require.NoError(t, c.StartWorker(t.Context()))
	back := time.Now()
	t.Parallel()
	ids, paid := map[string]bool{}, 0
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			id := c.requireOutlived(t, k)
			ids[id] = true
			t.Logf("over %s after the last worker was back", suite.Moment(t, c.Withdrawal(t, id), "completed_at").Sub(back))
		})
		if k.bill != refused {
			paid++
		}
	}
	require.Len(t, ids, count)
	c.RequireBalance(t, int64(1_000_000-paid*amount), 0)
	payee.RequireBalance(t, 3*amount, 0)
	c.Agrees(t)
	c.requireDelivered(t, got, ids)
}

// makeBill makes the invoice, while there is a worker.
func (c *client) makeBill(t *testing.T, payee *client, k *killing, amount payments.Msat) {
	t.Helper()
	switch k.bill {
	case plain:
		k.bolt11 = c.Payable(t, amount)
	case heldBill:
		k.held = c.Hold(t, amount)
		k.bolt11 = k.held.Bolt11
	case refused:
		unknown := c.Hold(t, amount)
		require.NoError(t, c.Net.DropInvoice(t.Context(), unknown.Hash))
		k.bolt11 = unknown.Bolt11
	case ownCharge:
		k.bolt11 = suite.Text(payee.Charge(t, int(amount/payments.MsatPerSat), ""), "bolt11")
	}
}

// killAt asks for the withdrawal and waits until the worker is dead.
func (c *client) killAt(t *testing.T, k *killing, posts *sync.WaitGroup) {
	t.Helper()
	began := time.Now()
	victim, err := c.StartVictim(k.at, k.bolt11)
	require.NoError(t, err)
	k.answer = make(chan suite.Object, 1)
	posts.Go(func() {
		// A repeat of the POST may be what opens it.
		status, answer := c.Ask(t, k.bolt11, "")
		if status != http.StatusCreated {
			t.Errorf("%s: status %d: %v", k.name, status, answer)
		}
		k.answer <- answer
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, victim.Died(ctx), k.name)
	t.Logf("%s: dead after %s", k.name, time.Since(began))
	if k.early {
		require.Empty(t, k.answer, "%s: answered", k.name)
	} else {
		require.Eventually(t, func() bool { return len(k.answer) == 1 }, 5*time.Second, time.Millisecond, "%s: not answered", k.name)
	}
	if k.bill == heldBill {
		c.Settle(t, k.held.Preimage)
	}
}

// requireOutlived waits for the end that a withdrawal must have, whoever died.
func (c *client) requireOutlived(t *testing.T, k *killing) (id string) {
	t.Helper()
	id = suite.Text(<-k.answer, "id")
	var code payments.FailureCode
	if k.bill == refused {
		code = payments.FailureRejectedByRecipient
	}
	withdrawal := c.OverAs(t, id, 90*time.Second, code)
	if k.bill == plain || k.bill == heldBill {
		c.RequireReceived(t, withdrawal, 20_000)
	}
	require.Equal(t, k.sends, c.sends(t, id))

	return id
}

// sends is how many licences a withdrawal has taken.
func (c *client) sends(t *testing.T, id string) (n int) {
	t.Helper()
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(), "SELECT sends FROM withdrawal WHERE id = $1", id).Scan(&n))

	return n
}

// requireDelivered waits until the end of each withdrawal has been told. A
// receiver may be told twice, but of one event.
func (c *client) requireDelivered(t *testing.T, got chan suite.Delivery, ids map[string]bool) {
	t.Helper()
	told := map[string]any{}
	for len(told) < len(ids) {
		var event suite.Object
		require.NoError(t, json.Unmarshal(suite.Next(t, got).Body, &event))
		data, _ := event["data"].(suite.Object)
		withdrawal, _ := data["object"].(suite.Object)
		id := suite.Text(withdrawal, "id")
		require.Contains(t, ids, id)
		if before, again := told[id]; again {
			require.Equal(t, before, event["id"])
		}
		told[id] = event["id"]
	}
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
			"SELECT count(*) FROM delivery WHERE workspace_id = $1 AND status <> 'succeeded'", c.WorkspaceID).Scan(&open))

		return open == 0
	}, 30*time.Second, 100*time.Millisecond)
}
