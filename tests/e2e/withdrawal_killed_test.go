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

	held   held
	bolt11 string
	answer chan object
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
		{name: "book: after the books", at: stack.After(workflows.ActivitySettleByBook), bill: ownCharge, early: true},
	}
}

// The worker is killed between each two steps of a withdrawal, each time a
// process of its own, by SIGKILL. This test has the worker to itself until the
// last one is back; what the killed ones left is found out beside other tests.
func TestWorkerKilledBetweenSteps(t *testing.T) {
	const amount, count = 20_000, 13
	c, payee := newClient(t), newClient(t)
	c.fund(t, 1000)
	url, got := receive(t)
	c.subscribe(t, url)
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
			t.Logf("over %s after the last worker was back", moment(t, c.withdrawal(t, id), "completed_at").Sub(back))
		})
		if k.bill != refused {
			paid++
		}
	}
	require.Len(t, ids, count)
	c.requireBalance(t, int64(1_000_000-paid*amount), 0)
	payee.requireBalance(t, 3*amount, 0)
	c.agrees(t)
	c.requireDelivered(t, got, ids)
}

// makeBill makes the invoice, while there is a worker.
func (c *client) makeBill(t *testing.T, payee *client, k *killing, amount payments.Msat) {
	t.Helper()
	switch k.bill {
	case plain:
		k.bolt11 = c.payable(t, amount)
	case heldBill:
		k.held = c.hold(t, amount)
		k.bolt11 = k.held.bolt11
	case refused:
		unknown := c.hold(t, amount)
		require.NoError(t, c.Net.DropInvoice(t.Context(), unknown.hash))
		k.bolt11 = unknown.bolt11
	case ownCharge:
		k.bolt11 = text(payee.charge(t, int(amount/payments.MsatPerSat), ""), "bolt11")
	}
}

// killAt asks for the withdrawal and waits until the worker is dead.
func (c *client) killAt(t *testing.T, k *killing, posts *sync.WaitGroup) {
	t.Helper()
	began := time.Now()
	victim, err := c.StartVictim(k.at, k.bolt11)
	require.NoError(t, err)
	k.answer = make(chan object, 1)
	posts.Go(func() {
		// A repeat of the POST may be what opens it.
		status, answer := c.ask(t, k.bolt11, "")
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
		c.settle(t, k.held.preimage)
	}
}

// requireOutlived waits for the end that a withdrawal must have, whoever died.
func (c *client) requireOutlived(t *testing.T, k *killing) (id string) {
	t.Helper()
	id = text(<-k.answer, "id")
	var code payments.FailureCode
	if k.bill == refused {
		code = payments.FailureRejectedByRecipient
	}
	withdrawal := c.overAs(t, id, 90*time.Second, code)
	if k.bill == plain || k.bill == heldBill {
		c.requireReceived(t, withdrawal, 20_000)
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
func (c *client) requireDelivered(t *testing.T, got chan delivery, ids map[string]bool) {
	t.Helper()
	told := map[string]any{}
	for len(told) < len(ids) {
		var event object
		require.NoError(t, json.Unmarshal(next(t, got).body, &event))
		data, _ := event["data"].(object)
		withdrawal, _ := data["object"].(object)
		id := text(withdrawal, "id")
		require.Contains(t, ids, id)
		if before, again := told[id]; again {
			require.Equal(t, before, event["id"])
		}
		told[id] = event["id"]
	}
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
			"SELECT count(*) FROM delivery WHERE workspace_id = $1 AND status <> 'succeeded'", c.workspaceID).Scan(&open))

		return open == 0
	}, 30*time.Second, 100*time.Millisecond)
}
