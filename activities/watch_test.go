package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// patience bounds the wait for something that must happen.
const patience = 20 * time.Second

// watch runs the watcher until the test ends or stop is called, which returns
// its error; the first stream is open when watch returns.
func (w *world) watch(t *testing.T) (stop func() error) {
	t.Helper()
	suite := quietSuite()
	env := suite.NewTestActivityEnvironment()
	stopping, ended := make(chan struct{}), make(chan error, 1)
	env.SetWorkerStopChannel(stopping)
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(w.nodes.WatchNode)
	go func() {
		_, err := env.ExecuteActivity(w.nodes.WatchNode, workflows.NodeInput{Node: w.node.Name()})
		ended <- err
	}()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		close(stopping)

		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	w.eventually(t, "the stream is open", func() bool { return w.metric(t, "lntpay_node_stream_up", "") == 1 })

	return stop
}

func (w *world) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 10*time.Millisecond, what)
}

// awaitNudges waits until each charge has been nudged.
func (w *world) awaitNudges(t *testing.T, ids ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, id := range ids {
		missing[id] = true
	}
	timeout := time.After(patience)
	for len(missing) > 0 {
		select {
		case id := <-w.nudger.arrived:
			delete(missing, id)
		case <-timeout:
			t.Fatalf("%d of %d charges were not nudged", len(missing), len(ids))
		}
	}
	for _, id := range ids {
		require.NotEmpty(t, w.receiptState(t, w.hash(t, id)), "the receipt comes before the nudge")
	}
}

func (w *world) openedMany(t *testing.T, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = w.opened(t)
	}

	return ids
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.openedMany(t, 4)
	w.node.SetDuplicates(2)
	stop := w.watch(t)
	w.pay(t, ids[0], 0)
	w.pay(t, ids[1], 2*amount)
	w.node.SettleHashless()
	w.node.SkipSettleIndexes(3)
	w.pay(t, ids[2], 0)
	w.awaitNudges(t, ids[:3]...)
	require.Empty(t, w.receiptState(t, w.hash(t, ids[3])))
	require.EqualValues(t, 2*amount, w.number(t, "SELECT amt_paid_msat FROM receipt WHERE charge_id = $1", ids[1]))
	require.Equal(t, 3, w.metric(t, "lntpay_receipts_total", ""), "duplicates change nothing")
	require.ErrorContains(t, stop(), "worker stops")
	for _, id := range ids[:3] {
		require.NoError(t, w.Settle.Settle(t.Context(), id))
	}
	w.sound(t)
}

// What settled while nobody watched comes back, in whatever order the node
// replays it and although its stream breaks.
func TestWatchBacklog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ native, first bool }{
		"bbolt":                  {false, false},
		"native SQL, add order":  {true, false},
		"the first boot ever":    {false, true},
		"the first boot, native": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.node.SetNativeSQL(c.native)
			known := w.paid(t)
			if !c.first {
				w.exec(t, "UPDATE node SET settle_cursor = (SELECT settle_index FROM receipt WHERE charge_id = $1)", known)
			}
			ids := w.openedMany(t, 6)
			for _, i := range []int{4, 0, 5, 2} {
				w.pay(t, ids[i], 0)
			}
			w.watch(t)
			w.awaitNudges(t, ids[4], ids[0], ids[5], ids[2])

			w.node.Hold() // Nothing live: it settles while the stream is away.
			w.pay(t, ids[3], 0)
			w.pay(t, ids[1], 0)
			w.node.BreakStreams()
			w.awaitNudges(t, ids[3], ids[1])
			require.Zero(t, w.nudger.of(known))
			require.Positive(t, w.metric(t, "lntpay_node_stream_breaks_total", ""))
		})
	}
}

// The cursor moves only over receipts that are older than ten minutes and were
// recorded on a stream that has not broken since.
func TestCursor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// recorded is how many minutes ago the receipt of a settle index was.
		recorded map[int]int
		// opened is how many minutes ago the stream was; 0 for a sweep.
		opened    int
		from      int
		regressed bool
		want      int64
	}{
		"fresh":                         {recorded: map[int]int{1: 9, 2: 0}, opened: 60, want: 0},
		"old":                           {recorded: map[int]int{1: 30, 2: 11}, opened: 60, want: 2},
		"old and fresh":                 {recorded: map[int]int{3: 11, 4: 9}, opened: 60, want: 3},
		"out of order":                  {recorded: map[int]int{4: 30, 2: 11, 9: 3}, opened: 60, want: 4},
		"from before the stream":        {recorded: map[int]int{1: 30, 2: 20}, opened: 15, want: 0},
		"from before and on the stream": {recorded: map[int]int{1: 14, 5: 30}, opened: 20, want: 1},
		"never back":                    {recorded: map[int]int{5: 30}, opened: 60, from: 7, want: 7},
		"a sweep says nothing":          {recorded: map[int]int{5: 30}, want: 0},
		"a node back in time":           {recorded: map[int]int{5: 30}, opened: 60, regressed: true, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for index, ago := range c.recorded {
				w.receive(t, lightning.Invoice{
					PaymentHash: lightning.Hash{byte(index)}, AmtPaidMsat: 1, SettleIndex: uint64(index), SettledAt: time.Now(),
				})
				w.exec(t, "UPDATE receipt SET recorded_at = now() - $1 * interval '1 minute' WHERE settle_index = $2", ago, index)
			}
			w.exec(t, "UPDATE node SET settle_cursor = $1, regressed_at = CASE WHEN $2 THEN now() END", c.from, c.regressed)
			var opened time.Time
			if c.opened > 0 {
				opened = time.Now().Add(-time.Duration(c.opened) * time.Minute)
			}
			_, err := w.Store.WriteReceipts(t.Context(), w.node.Name(), opened, nil)
			require.NoError(t, err)
			require.Equal(t, c.want, w.number(t, "SELECT settle_cursor FROM node"))
		})
	}
}

// A nudge that is lost is repeated for as long as the receipt has no credit.
func TestWatchRepeatsNudges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.openedMany(t, 2)
	w.nudger.fail = 1
	w.watch(t)
	w.pay(t, ids[0], 0)
	w.awaitNudges(t, ids[0])
	w.awaitNudges(t, ids[0])
	require.NoError(t, w.Settle.Settle(t.Context(), ids[0]))
	w.pay(t, ids[1], 0)
	w.awaitNudges(t, ids[1])
	w.awaitNudges(t, ids[1])
	require.NoError(t, w.Settle.Settle(t.Context(), ids[1]))
	w.sound(t)
}

// A Temporal that is away keeps no money back. The run, which is to tell the
// world, is nudged until that has arrived.
func TestWatchCreditsWithoutTemporal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nodes.Settle = w.Settle
	id := w.openedMany(t, 1)[0]
	w.nudger.fail = 2
	w.watch(t)
	w.pay(t, id, 0)
	w.eventually(t, "the charge is paid", func() bool { return w.status(t, id) == payments.ChargePaid })
	w.awaitNudges(t, id)
	w.sound(t)
}

// A Postgres that fails ends the stream and loses nothing.
func TestWatchPostgresFails(t *testing.T) {
	t.Parallel()
	for name, cursor := range map[string]bool{"with a cursor": true, "on the first boot": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			known := w.paid(t)
			if cursor {
				w.exec(t, "UPDATE node SET settle_cursor = (SELECT settle_index FROM receipt WHERE charge_id = $1)", known)
			}
			ids := w.openedMany(t, 3)
			w.watch(t)
			heal := w.breakTable(t, "receipt", "INSERT", "true")
			for _, id := range ids {
				w.pay(t, id, 0)
			}
			w.eventually(t, "the stream ends", func() bool { return w.metric(t, "lntpay_node_stream_breaks_total", "") > 0 })
			require.Empty(t, w.receiptState(t, w.hash(t, ids[0])))
			heal()
			w.awaitNudges(t, ids...)
		})
	}
}

// A receipt that no charge explains is kept, and not credited to anybody.
func TestWatchUnknownHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.watch(t)
	foreign, err := w.node.AddInvoice(t.Context(), lightning.NewInvoice{
		Preimage: lightning.Preimage{9}, AmountMsat: 5, Expiry: time.Hour,
	})
	require.NoError(t, err)
	_, err = w.node.Settle(foreign.PaymentHash, 0)
	require.NoError(t, err)
	w.pay(t, id, 0)
	w.awaitNudges(t, id)
	require.Equal(t, "suspense", w.receiptState(t, foreign.PaymentHash))
	require.Equal(t, 1, w.alerts(t, activities.AlertReceiptUnexplained))
	require.NoError(t, w.Settle.Settle(t.Context(), id))
	require.Equal(t, amount, w.balance(t))
	w.sound(t)
}

// worthless says of one invoice that it was settled for nothing.
type worthless struct {
	lightning.Node
	hash lightning.Hash
}

func (w worthless) strip(invoice lightning.Invoice) lightning.Invoice {
	if invoice.PaymentHash == w.hash {
		invoice.AmtPaidMsat = 0
	}

	return invoice
}

func (w worthless) SubscribeSettled(
	ctx context.Context, cursor uint64, onOpen func(), handle func(lightning.Invoice) error,
) error {
	return w.Node.SubscribeSettled(ctx, cursor, onOpen, func(invoice lightning.Invoice) error {
		return handle(w.strip(invoice))
	})
}

func (w worthless) ListInvoices(
	ctx context.Context, from, pageSize uint64, page func([]lightning.Invoice) error,
) error {
	return w.Node.ListInvoices(ctx, from, pageSize, func(invoices []lightning.Invoice) error {
		stripped := make([]lightning.Invoice, len(invoices))
		for i, invoice := range invoices {
			stripped[i] = w.strip(invoice)
		}

		return page(stripped)
	})
}

// An invoice that was settled for nothing holds back neither the stream nor
// the sweep of the list.
func TestSettledForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.openedMany(t, 3)
	w.nodes.Node = worthless{Node: w.node, hash: w.hash(t, ids[0])}
	w.watch(t)
	w.pay(t, ids[0], 0)
	w.pay(t, ids[1], 0)
	w.awaitNudges(t, ids[1])
	require.Empty(t, w.receiptState(t, w.hash(t, ids[0])))
	require.Positive(t, w.alerts(t, activities.AlertSettledForNothing))
	w.node.Hold() // Only the list tells of the last.
	w.pay(t, ids[2], 0)
	w.exec(t, "UPDATE node SET regressed_at = now()")
	require.NoError(t, w.nodes.SweepRows(t.Context()))
	w.awaitNudges(t, ids[2])
	require.Zero(t, w.metric(t, "lntpay_node_stream_breaks_total", ""))
	require.NoError(t, w.Settle.Settle(t.Context(), ids[1]))
	require.NoError(t, w.Settle.Settle(t.Context(), ids[2]))
	w.sound(t)
}

func TestWatchAnotherNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.nodes.WatchNode(t.Context(), workflows.NodeInput{Node: "other"})
	require.ErrorContains(t, err, "serves node")
	requireErrType(t, err, workflows.ErrTypeOtherNode)
	require.Zero(t, w.node.Calls(lightningtest.SubscribeSettled))
}

// The receipt and the highest indexes are one transaction with the cursor.
func TestReceiptsRaiseIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.openedMany(t, 3)
	w.receive(t, w.pay(t, ids[2], 0))
	require.EqualValues(t, 3, w.number(t, "SELECT highest_add_index FROM node"))
	require.EqualValues(t, 1, w.number(t, "SELECT highest_settle_index FROM node"))
	require.NoError(t, w.Store.RaiseHighestIndexes(t.Context(), db.RaiseHighestIndexesParams{Name: w.node.Name(), AddIndex: 2}))
	require.EqualValues(t, 3, w.number(t, "SELECT highest_add_index FROM node"), "never back")
	require.Equal(t, payments.ChargePending, w.status(t, ids[2]))
}
