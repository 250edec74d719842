package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// receiptBatch bounds one transaction of receipts, receiptQueue what the
	// stream may be ahead of Postgres; past it the stream waits, and lnd
	// queues for us.
	receiptBatch = 500
	receiptQueue = 1000
	// renudgeEvery is how often receipts that are still without credit are
	// nudged again: the nudge, or the worker that sent it, may have been lost.
	renudgeEvery = 2 * time.Second
	// cursorEvery is how often the cursor is moved, and cursorLag what its move
	// looks back: the ten minutes that a receipt must be old, and a minute of
	// difference between the clocks.
	cursorEvery    = time.Minute
	cursorLag      = 11 * time.Minute
	heartbeatEvery = time.Second
	// reconnect pauses double from the minimum to the maximum.
	minReconnect = 100 * time.Millisecond
	maxReconnect = 2 * time.Second
	// writeTimeout bounds a transaction of the watcher.
	writeTimeout = 10 * time.Second
)

// Nodes are the activities about a node as a whole.
type Nodes struct {
	Store   *store.Store
	Node    lightning.Node
	Nudger  Nudger
	Alerts  *Alerts
	Log     *slog.Logger
	Metrics *NodeMetrics
	// Settle credits what the watcher has recorded, while the nudge is on its
	// way; nil leaves that to the charge's run.
	Settle *Settler
}

// NodeMetrics tell how the watcher and the sweeper fare.
type NodeMetrics struct {
	receipts    prometheus.Counter
	reconnects  prometheus.Counter
	streamUp    prometheus.Gauge
	lastSettled prometheus.Gauge
	swept       *prometheus.CounterVec
	counts      *counts
	reconcile   *reconcileMetrics
	// unsealed counts the transfers that the hash chain does not hold yet.
	unsealed prometheus.Gauge
}

// NewNodeMetrics registers the metrics.
func NewNodeMetrics(registry prometheus.Registerer) *NodeMetrics {
	m := &NodeMetrics{
		receipts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lntpay_receipts_total", Help: "Receipts written.",
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lntpay_node_stream_breaks_total", Help: "Times that the stream of settled invoices ended.",
		}),
		streamUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_node_stream_up", Help: "1 while this worker follows the node's settled invoices.",
		}),
		lastSettled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_node_stream_last_event_timestamp_seconds",
			Help: "When this worker last read a settled invoice from the node's stream, by its clock; 0 before the first.",
		}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_swept_total", Help: "Rows that the sweeper had to come back for, by kind; normally none.",
		}, []string{"kind"}),
		counts:    newCounts(),
		reconcile: newReconcileMetrics(registry),
		unsealed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_ledger_sealed_lag_transfers",
			Help: "Transfers that no block of the hash chain holds yet, after a sweep has sealed.",
		}),
	}
	registry.MustRegister(m.receipts, m.reconnects, m.streamUp, m.lastSettled, m.swept, m.counts, m.unsealed)
	// Series that exist from the start show the first row as an increase.
	for _, kind := range []string{"charge", "withdrawal", "resolution", "receipt", "delivery"} {
		m.swept.WithLabelValues(kind)
	}

	return m
}

// WatchNode follows the node's settled invoices until the worker stops: it
// writes a receipt of each and nudges its charge. It reconnects by itself; the
// cursor in Postgres decides where from. Another worker may briefly run the
// same: receipts are idempotent and the cursor only ever lags.
func (a *Nodes) WatchNode(ctx context.Context, in workflows.NodeInput) error {
	if err := a.serves(in); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	group, ctx := errgroup.WithContext(ctx)
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()
	var status atomic.Value
	status.Store("connecting")
	group.Go(func() error { return a.heartbeat(ctx, cancel, &status) })
	group.Go(func() error { return a.renudge(ctx, nudges) })
	group.Go(func() error { return a.follow(ctx, nudges, &status) })
	group.Go(func() error { return a.thawWhenAsked(ctx, nudges) })
	group.Go(func() error {
		return a.keepOpen(ctx, "stream of payments", func() error { return a.watchPayments(ctx, nudges) })
	})
	err := group.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}

	return fmt.Errorf("watch %s: %w", in.Node, err)
}

// serves refuses, for good, a node that this worker does not serve: a watcher or
// sweeper of a node's old name would else try for ever, unseen.
func (a *Nodes) serves(in workflows.NodeInput) error {
	if in.Node == a.Node.Name() {
		return nil
	}

	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("this worker serves node %s, not %s", a.Node.Name(), in.Node), workflows.ErrTypeOtherNode, nil)
}

var errWorkerStops = errors.New("activities: the worker stops, another takes over")

// heartbeat keeps the activity ours and ends it when the worker stops.
func (a *Nodes) heartbeat(ctx context.Context, cancel context.CancelCauseFunc, status *atomic.Value) error {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		activity.RecordHeartbeat(ctx, status.Load())
		select {
		case <-ticker.C:
		case <-activity.GetWorkerStopChannel(ctx):
			cancel(errWorkerStops)

			return errWorkerStops
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow keeps the stream of settled invoices open for as long as ctx lives.
func (a *Nodes) follow(ctx context.Context, nudges *nudges, status *atomic.Value) error {
	return a.keepOpen(ctx, "stream of settled invoices", func() error {
		err := a.stream(ctx, nudges, status)
		a.Metrics.streamUp.Set(0)
		if ctx.Err() == nil {
			a.Metrics.reconnects.Inc()
			status.Store("reconnecting")
		}

		return err
	})
}

// keepOpen runs a stream again and again until ctx ends, with a pause that
// grows while it does not live for long.
func (a *Nodes) keepOpen(ctx context.Context, what string, run func() error) error {
	pause := minReconnect
	for {
		opened := time.Now()
		err := run()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.Log.WarnContext(ctx, what+" ended", "node", a.Node.Name(), "error", err)
		if time.Since(opened) > time.Minute {
			pause = minReconnect
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, maxReconnect)
	}
}

// stream runs one subscription from the stored cursor to its end.
func (a *Nodes) stream(ctx context.Context, nudges *nudges, status *atomic.Value) error {
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	settled := make(chan lightning.Invoice, receiptQueue)
	opened := make(chan struct{})
	group.Go(func() error {
		return a.Node.SubscribeSettled(ctx, uint64(node.SettleCursor), func() {
			a.Metrics.streamUp.Set(1)
			status.Store(fmt.Sprintf("following from settle index %d", node.SettleCursor))
			close(opened)
		}, func(invoice lightning.Invoice) error {
			a.Metrics.lastSettled.SetToCurrentTime()
			select {
			case settled <- invoice:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error { return a.record(ctx, nudges, node.Now, settled) })
	group.Go(func() error { return a.untilThawed(ctx, node.SettleCursor) })
	if node.SettleCursor == 0 {
		// From cursor 0 lnd replays nothing (and index 1 is never replayed):
		// only the list can tell what was settled before the stream opened.
		group.Go(func() error {
			select {
			case <-opened:
				return a.sweepList(ctx, nudges)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}

	return group.Wait()
}

// record turns what the stream brings into receipts, in batches on arrival.
// A failed write ends the stream: the next one brings the same again. The cursor
// is moved once a minute, over what no earlier move of this stream has looked at:
// each time from the stream's beginning would be slower with each receipt.
func (a *Nodes) record(ctx context.Context, nudges *nudges, openedAt time.Time, settled <-chan lightning.Invoice) error {
	move := time.NewTicker(cursorEvery)
	defer move.Stop()
	began, moved, due := time.Now(), time.Duration(0), false
	for {
		var batch []store.Settlement
		select {
		case invoice := <-settled:
			batch = append(batch, settlement(invoice))
			for len(batch) < receiptBatch && len(settled) > 0 {
				batch = append(batch, settlement(<-settled))
			}
		case <-move.C:
			due = true
		case <-ctx.Done():
			return ctx.Err()
		}
		var cursorFrom time.Time
		if due && len(settled) == 0 { // What waits here is not written yet.
			cursorFrom = lookFrom(openedAt, moved)
			moved, due = time.Since(began), false
		}
		if len(batch) == 0 && cursorFrom.IsZero() {
			continue
		}
		if err := a.write(ctx, nudges, cursorFrom, batch); err != nil {
			return err
		}
	}
}

// lookFrom is from when on a move of the cursor looks at receipts: those before
// were old enough for the move that was made so long after the stream was opened.
func lookFrom(openedAt time.Time, moved time.Duration) time.Time {
	return openedAt.Add(max(moved-cursorLag, 0))
}

// write records a batch and nudges the charges of what was new.
func (a *Nodes) write(ctx context.Context, nudges *nudges, openedAt time.Time, batch []store.Settlement) error {
	ctx, span := receiptsSpan(ctx, batch)
	defer span.End()
	writeCtx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	fresh, err := a.Store.WriteReceipts(writeCtx, a.Node.Name(), openedAt, a.withAmount(ctx, batch))
	if err != nil {
		return err
	}
	a.Metrics.receipts.Add(float64(len(fresh)))
	var refs []workflows.ChargeRef
	for _, receipt := range fresh {
		if receipt.ChargeID == "" {
			a.Alerts.Raise(ctx, AlertReceiptUnexplained, "the node settled an invoice that no charge explains: suspense",
				"node", a.Node.Name(), "payment_hash", lightning.Hash(receipt.PaymentHash).String(),
				"amt_paid_msat", receipt.AmtPaidMsat)

			continue
		}
		a.Log.InfoContext(ctx, "receipt", "charge_id", receipt.ChargeID, "workspace_id", receipt.WorkspaceID,
			"node", a.Node.Name(), "payment_hash", lightning.Hash(receipt.PaymentHash).String(),
			"amt_paid_msat", receipt.AmtPaidMsat)
		refs = append(refs, workflows.ChargeRef{
			ID: receipt.ChargeID, WorkspaceID: receipt.WorkspaceID, AmountMsat: payments.Msat(receipt.AmountMsat),
		})
	}
	a.credit(ctx, nudges, refs)
	nudges.send(ctx, refs)

	return nil
}

// credit has the settler credit charges, beside the nudges of their runs: money
// does not wait for Temporal, and the run finds it done. A failure is the run's,
// which settles too.
func (a *Nodes) credit(ctx context.Context, nudges *nudges, refs []workflows.ChargeRef) {
	if a.Settle == nil {
		return
	}
	for _, ref := range refs {
		nudges.credits.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
			defer cancel()
			if err := a.Settle.Settle(ctx, ref.ID); err != nil {
				a.Log.WarnContext(ctx, "not credited, left to the run", "charge_id", ref.ID, "error", err)
			}

			return nil
		})
	}
}

// receiptsSpan begins the trace of what has arrived: the watch over the node is
// in none, because it does not end.
func receiptsSpan(ctx context.Context, batch []store.Settlement) (context.Context, trace.Span) {
	if len(batch) == 0 {
		return ctx, trace.SpanFromContext(ctx)
	}

	return telemetry.Tracer().Start(ctx, "receipts", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.Int("lntpay.batch_size", len(batch))))
}

// errThawed ends a stream whose cursor was set back by a thaw.
var errThawed = errors.New("activities: the cursor was set back by a thaw")

// untilThawed ends with the stream, or when a thaw has set the cursor back: lnd
// sends nothing live at or below the one that the stream was opened with.
func (a *Nodes) untilThawed(ctx context.Context, cursor int64) error {
	ticker := time.NewTicker(thawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		node, err := a.Store.GetNode(ctx, a.Node.Name())
		if err == nil && node.SettleCursor < cursor {
			return errThawed
		}
	}
}

// withAmount leaves out what the node says it settled for nothing. No receipt
// can say that, and one such invoice would fail its batch, and with it the
// stream, each time that it is replayed.
func (a *Nodes) withAmount(ctx context.Context, batch []store.Settlement) []store.Settlement {
	return slices.DeleteFunc(batch, func(one store.Settlement) bool {
		if one.AmtPaidMsat > 0 {
			return false
		}
		a.Alerts.Raise(ctx, AlertSettledForNothing, "the node settled an invoice without an amount: left out",
			"node", a.Node.Name(), "payment_hash", lightning.Hash(one.PaymentHash).String(), "amt_paid_msat", one.AmtPaidMsat)

		return true
	})
}

// renudge keeps nudging receipts that are older than a moment and still not
// credited, whoever recorded them, and charges whose nudge has failed.
func (a *Nodes) renudge(ctx context.Context, nudges *nudges) error {
	ticker := time.NewTicker(renudgeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		rows, err := a.uncredited(ctx, renudgeEvery)
		if err != nil {
			a.Log.WarnContext(ctx, "read uncredited receipts", "error", err)

			continue
		}
		nudges.send(ctx, rows)
		nudges.send(ctx, nudges.untoldAgain())
	}
}

func (a *Nodes) uncredited(ctx context.Context, olderThan time.Duration) ([]workflows.ChargeRef, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	rows, err := a.Store.UncreditedReceipts(ctx, db.UncreditedReceiptsParams{
		OlderThanS: olderThan.Seconds(), MaxRows: sweepLimit,
	})
	if err != nil {
		return nil, fmt.Errorf("read uncredited receipts: %w", err)
	}
	refs := make([]workflows.ChargeRef, len(rows))
	for i, row := range rows {
		refs[i] = workflows.ChargeRef{ID: row.ID, WorkspaceID: row.WorkspaceID, AmountMsat: payments.Msat(row.AmountMsat)}
	}

	return refs, nil
}
