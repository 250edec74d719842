package activities_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

// endpoint adds a webhook endpoint that nobody delivers to.
func (w *world) endpoint(t *testing.T, status string, events ...string) string {
	t.Helper()
	id := payments.NewID(payments.PrefixEndpoint)
	w.exec(t, `INSERT INTO webhook_endpoint (id, workspace_id, url, events, status, secret_sealed)
		VALUES ($1, $2, 'https://example.com', $3, $4, 'sealed')`, id, w.workspace, events, status)

	return id
}

func (w *world) balance(t *testing.T) payments.Msat {
	t.Helper()

	return payments.Msat(w.number(t, "SELECT available_msat FROM balance WHERE workspace_id = $1", w.workspace))
}

func TestSettle(t *testing.T) {
	t.Parallel()
	for name, paid := range map[string]payments.Msat{"exact": amount, "overpaid is credited in full": 3*amount + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.opened(t)
			state, err := w.SettleCharge(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, payments.ChargePending, state.Status, "without a receipt nothing changes")
			w.receive(t, w.pay(t, id, paid))
			state, err = w.LookAtCharge(t.Context(), id)
			require.NoError(t, err)
			require.True(t, state.HasReceipt)
			for range 2 {
				state, err = w.SettleCharge(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, payments.ChargePaid, state.Status)
				require.False(t, state.HasReceipt)
			}
			require.Equal(t, paid, w.balance(t))
			require.EqualValues(t, paid, w.row(t, id).AmountPaidMsat)
			require.Equal(t, []string{"charge.paid"}, w.events(t, id))
			require.Zero(t, w.alerts(t, activities.AlertPaidAfterClose))
			w.sound(t)
		})
	}
}

// The event holds the charge as it is once paid, and is delivered to whoever
// wants it.
func TestSettleEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wants := w.endpoint(t, "enabled", "charge.paid")
	w.endpoint(t, "enabled", "charge.expired")
	w.endpoint(t, "disabled", "*")
	id := w.opened(t)
	w.receive(t, w.pay(t, id, 0))
	state, err := w.SettleCharge(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, state.Deliveries, 1)
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM delivery WHERE endpoint_id = $1", wants))
	var event struct {
		Type string `json:"type"`
		Data struct {
			Object struct {
				ID     string `json:"id"`
				Status string `json:"status"`
			} `json:"object"`
		} `json:"data"`
	}
	var payload []byte
	require.NoError(t, w.Store.Pool.QueryRow(t.Context(), "SELECT payload FROM event").Scan(&payload))
	require.NoError(t, json.Unmarshal(payload, &event))
	require.Equal(t, "charge.paid", event.Type)
	require.Equal(t, id, event.Data.Object.ID)
	require.Equal(t, "paid", event.Data.Object.Status)
}

// Money wins over a close, with an alert.
func TestSettleAfterClose(t *testing.T) {
	t.Parallel()
	for _, status := range []payments.ChargeStatus{payments.ChargeExpired, payments.ChargeCanceled} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.opened(t)
			invoice := w.pay(t, id, 0)
			// Forgotten by the node for as long as the close takes.
			w.node.Forget(invoice.PaymentHash)
			w.exec(t, "UPDATE node SET highest_add_index = 0")
			w.closeAs(t, id, status)
			w.receive(t, invoice)
			state, err := w.SettleCharge(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, payments.ChargePaid, state.Status)
			require.Equal(t, 1, w.alerts(t, activities.AlertPaidAfterClose))
			require.Equal(t, []string{"charge." + string(status), "charge.paid"}, w.events(t, id))
			require.Equal(t, amount, w.balance(t))
			w.sound(t)
		})
	}
}

// closeAs closes a charge whose invoice the node does not have. Another
// invoice keeps the node's highest index where it was.
func (w *world) closeAs(t *testing.T, id string, status payments.ChargeStatus) {
	t.Helper()
	w.opened(t)
	if status == payments.ChargeCanceled {
		state, err := w.CancelCharge(t.Context(), w.cancelOrder(t, id))
		require.NoError(t, err)
		require.Equal(t, status, state.Status)

		return
	}
	w.makeDue(t, id)
	state, err := w.ExpireCharge(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, status, state.Status)
}

func TestSecondReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	invoice := w.pay(t, id, 0)
	w.receive(t, invoice)
	_, err := w.SettleCharge(t.Context(), id)
	require.NoError(t, err)
	// The first receipt was the book's, so to say: the node's comes after it.
	w.exec(t, "DELETE FROM receipt")
	w.receive(t, invoice)
	state, err := w.LookAtCharge(t.Context(), id)
	require.NoError(t, err)
	require.True(t, state.HasReceipt)
	for range 2 {
		state, err = w.SettleCharge(t.Context(), id)
		require.NoError(t, err)
		require.False(t, state.HasReceipt)
	}
	require.Equal(t, "suspense", w.receiptState(t, invoice.PaymentHash))
	require.Equal(t, 1, w.alerts(t, activities.AlertSecondReceipt))
	require.Equal(t, amount, w.balance(t), "credited once")
	require.Equal(t, []string{"charge.paid"}, w.events(t, id))
}

// A receipt of a charge that is not open yet waits for the bolt11; while that
// cannot be had, settling fails, so that its run pauses instead of spinning.
func TestSettleFromCreating(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	w.node.Inject(lightningtest.AddInvoice, lightningtest.FailBefore, lightningtest.FailAfter)
	_, err := w.OpenCharge(t.Context(), in)
	require.Error(t, err)
	state, err := w.SettleCharge(t.Context(), in.ChargeID)
	require.NoError(t, err, "before AddInvoice there is nothing to settle")
	require.Equal(t, payments.ChargeCreating, state.Status)

	before := w.node.Snapshot()
	_, err = w.OpenCharge(t.Context(), in)
	require.Error(t, err)
	invoice := w.pay(t, in.ChargeID, 0)
	w.receive(t, invoice)
	after := w.node.Snapshot()
	w.node.Restore(before)
	_, err = w.SettleCharge(t.Context(), in.ChargeID)
	require.Error(t, err, "a receipt without an invoice")
	w.node.Restore(after)
	w.node.Inject(lightningtest.LookupInvoice, lightningtest.FailBefore)
	_, err = w.SettleCharge(t.Context(), in.ChargeID)
	require.ErrorIs(t, err, lightningtest.ErrLost)
	state, err = w.SettleCharge(t.Context(), in.ChargeID)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePaid, state.Status)
	require.Equal(t, invoice.Bolt11, *w.row(t, in.ChargeID).Bolt11)
	status, _ := w.answer(t, in.ChargeID)
	require.Zero(t, status, "the repeat of the POST freezes it")
	_, err = w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	w.created(t, in.ChargeID)
	require.Equal(t, 2, w.node.Calls(lightningtest.AddInvoice), "past creating it is never called again")
	w.sound(t)
}

// One row that cannot be booked does not hold back its neighbours.
func TestSettlePoisoned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.receipts(t, 30)
	poisoned := ids[7]
	heal := w.breakTable(t, "transfer", "INSERT", "NEW.ref = '"+poisoned+"'")
	errs := atOnce(len(ids), func(i int) error { return w.Settle.Settle(t.Context(), ids[i]) })
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "injected fault")
	require.EqualValues(t, len(ids)-1, w.number(t, "SELECT count(*) FROM charge WHERE status = 'paid'"))
	require.Equal(t, payments.ChargePending, w.status(t, poisoned))
	heal()
	require.NoError(t, w.Settle.Settle(t.Context(), poisoned))
	require.Equal(t, amount*payments.Msat(len(ids)), w.balance(t))
	w.sound(t)
}

// A locked row fails a batch once: nobody waits for as many timeouts as the
// batch has charges, and all are credited when the lock is gone.
func TestSettleLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.receipts(t, 5)
	locked, err := w.Store.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = locked.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = locked.Exec(t.Context(), "SELECT FROM balance FOR UPDATE")
	require.NoError(t, err)
	begun := time.Now()
	require.Len(t, atOnce(len(ids), func(i int) error { return w.Settle.Settle(t.Context(), ids[i]) }), len(ids))
	// What came first is a batch of its own: two timeouts of 3 s.
	require.Less(t, time.Since(begun), 8*time.Second)
	require.NoError(t, locked.Rollback(t.Context()))
	require.Empty(t, atOnce(len(ids), func(i int) error { return w.Settle.Settle(t.Context(), ids[i]) }))
	w.sound(t)
}

// Who has gone is answered without a transaction.
func TestSettleSkipsWhoHasGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.receipts(t, 1)[0]
	settler := activities.NewSettler(w.Store, w.Alerts, prometheus.NewRegistry())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	// Queued before Run: a context that has ended may still be queued.
	for range 20 {
		require.ErrorIs(t, settler.Settle(gone, id), context.Canceled)
	}
	runSettler(t, settler)
	second := w.receipts(t, 1)[0]
	require.NoError(t, settler.Settle(t.Context(), second))
	require.Equal(t, payments.ChargePending, w.status(t, id))
	require.NoError(t, settler.Settle(t.Context(), id))
	w.sound(t)
}

// The ids of events ascend with their numbers.
func TestEventIDsAscend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	events := make([]store.NewEvent, 100)
	for i := range events {
		events[i] = store.NewEvent{WorkspaceID: w.workspace, Type: payments.EventChargePaid, ResourceID: strconv.Itoa(i)}
	}
	require.NoError(t, w.Store.InTx(t.Context(), func(_ pgx.Tx, q *db.Queries) error {
		return w.Store.WriteEvents(t.Context(), q, events)
	}))
	require.EqualValues(t, len(events), w.number(t, "SELECT count(*) FROM event WHERE sequence = resource_id::int + 1"))
	require.Zero(t, w.number(t, `SELECT count(*) FROM event a JOIN event b
		ON b.workspace_id = a.workspace_id AND b.sequence = a.sequence + 1 WHERE b.id COLLATE "C" < a.id`))
}

// receipts opens charges and writes a receipt of each.
func (w *world) receipts(t *testing.T, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = w.opened(t)
		w.receive(t, w.pay(t, ids[i], 0))
	}

	return ids
}

// Two hundred charges of one workspace, each settled twice at the same time,
// by two workers.
func TestSettleManyAtOnce(t *testing.T) {
	t.Parallel()
	const charges = 200
	w := newWorld(t)
	w.endpoint(t, "enabled", "*")
	w.endpoint(t, "enabled", "charge.paid")
	w.endpoint(t, "enabled", "charge.expired")
	w.endpoint(t, "disabled", "*")
	ids := w.receipts(t, charges)
	registry := prometheus.NewRegistry()
	other := activities.NewSettler(w.Store, w.Alerts, registry)
	runSettler(t, other)
	require.Empty(t, atOnce(4*charges, func(i int) error {
		settler := w.Settle
		if i%2 == 1 {
			settler = other
		}

		return settler.Settle(t.Context(), ids[(i/2)%charges])
	}))
	require.Equal(t, amount*charges, w.balance(t))
	require.EqualValues(t, charges, w.number(t, "SELECT count(*) FROM transfer"))
	require.EqualValues(t, charges, w.number(t, "SELECT max(sequence) FROM transfer"))
	require.EqualValues(t, charges, w.number(t, "SELECT count(*) FROM event"))
	require.EqualValues(t, charges, w.number(t, "SELECT max(sequence) FROM event"))
	require.EqualValues(t, 2*charges, w.number(t, "SELECT count(*) FROM delivery"))
	require.Zero(t, w.alerts(t, activities.AlertSecondReceipt))
	w.sound(t)
}

// A settler that stops refuses what waits; who asks it later waits no longer
// than its own deadline. Both mean "unknown".
func TestSettlerStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.receipts(t, 1)[0]
	settler := activities.NewSettler(w.Store, w.Alerts, prometheus.NewRegistry())
	stopped, stop := context.WithCancel(t.Context())
	stop()
	refused := make(chan error, 1)
	go func() { refused <- settler.Settle(t.Context(), id) }()
	// Whether the job came before or after the stop, Run ends at once.
	w.eventually(t, "what waits is refused", func() bool {
		settler.Run(stopped)

		return len(refused) == 1
	})
	require.ErrorIs(t, <-refused, context.Canceled)
	require.ErrorIs(t, settler.Settle(stopped, id), context.Canceled)
	require.NoError(t, w.Settle.Settle(t.Context(), id))
	w.sound(t)
}
