package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/telemetry"
)

const (
	// maxSettleBatch is past the knee of the measured curve (about 100) and
	// keeps the transaction at some milliseconds.
	maxSettleBatch = 200
	// settlers is how many transactions settle at a time: while one waits for
	// Postgres, another renders its events. Those of one workspace meet only at
	// its balance, late in the transaction.
	settlers = 2
	// settleQueue bounds what waits; more wait in their callers.
	settleQueue = 2000
	// settleTimeout bounds one batch.
	settleTimeout = 3 * time.Second
)

// Settler credits charges in batches on arrival: while transactions run, what
// arrives meanwhile becomes the next. A lone charge waits for nobody, and
// a thousand of one workspace share a lock and a commit.
type Settler struct {
	store   *store.Store
	alerts  *Alerts
	queue   chan settleJob
	metrics settleMetrics
}

type settleJob struct {
	// ctx is the caller's: who has gone needs no transaction any more.
	ctx  context.Context //nolint:containedctx // The job is the call.
	id   string
	done chan error
}

// answer ends the job; its caller may be gone.
func (j settleJob) answer(err error) { j.done <- err }

type settleMetrics struct {
	batch               prometheus.Histogram
	insufficientInbound prometheus.Counter
}

// NewSettler makes a settler; Run must be running for Settle to return.
func NewSettler(s *store.Store, alerts *Alerts, registry prometheus.Registerer) *Settler {
	settler := &Settler{
		store: s, alerts: alerts, queue: make(chan settleJob, settleQueue),
		metrics: settleMetrics{
			batch: prometheus.NewHistogram(prometheus.HistogramOpts{
				Name: "lntpay_settle_batch_size", Help: "Charges credited by one transaction.",
				Buckets: prometheus.ExponentialBuckets(1, 2, 9),
			}),
			insufficientInbound: prometheus.NewCounter(prometheus.CounterOpts{
				Name: "lntpay_charges_insufficient_inbound_total",
				Help: "Charges over more than the node could receive when they were created.",
			}),
		},
	}
	registry.MustRegister(settler.metrics.batch, settler.metrics.insufficientInbound)

	return settler
}

// Settle credits one charge if it has a receipt, and returns when the
// transaction that did it is committed. An error means "unknown": call again.
func (s *Settler) Settle(ctx context.Context, id string) error {
	job := settleJob{ctx: ctx, id: id, done: make(chan error, 1)}
	select {
	case s.queue <- job:
	case <-ctx.Done():
		return fmt.Errorf("settle %s: %w", id, ctx.Err())
	}
	select {
	case err := <-job.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("settle %s: %w", id, ctx.Err())
	}
}

// Run works until ctx ends; then what waits is refused.
func (s *Settler) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range settlers {
		all.Go(func() { s.run(ctx) })
	}
	all.Wait()
}

func (s *Settler) run(ctx context.Context) {
	for {
		select {
		case first := <-s.queue:
			s.settle(ctx, s.fill(first))
		case <-ctx.Done():
			s.refuse(ctx.Err())

			return
		}
	}
}

// fill takes what else has arrived.
func (s *Settler) fill(first settleJob) []settleJob {
	batch := []settleJob{first}
	for len(batch) < maxSettleBatch {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}

	return batch
}

// settle runs one batch. If a batch fails for what is in a row, each of its
// charges is tried alone, so that one bad row cannot hold back its neighbours.
// If it fails for anything else, a locked row or Postgres away, trying alone
// would fail as slowly as many times and hold back everybody: all get the
// error, and their runs pause and come again.
func (s *Settler) settle(ctx context.Context, batch []settleJob) {
	batch = waiting(batch)
	ids := make([]string, 0, len(batch))
	seen := map[string]bool{}
	for _, job := range batch {
		if !seen[job.id] {
			seen[job.id] = true
			ids = append(ids, job.id)
		}
	}
	if len(ids) == 0 {
		return
	}
	ctx, end := batchSpan(ctx, batch)
	err := s.commit(ctx, ids)
	end(err)
	alone := len(ids) > 1 && ofARow(err)
	for _, job := range batch {
		// One by one takes its time, in which callers go.
		if alone && job.ctx.Err() != nil {
			job.answer(job.ctx.Err())

			continue
		}
		if alone {
			err = s.commit(ctx, []string{job.id})
			alone = err == nil || ofARow(err)
		}
		job.answer(err)
	}
}

// batchSpan begins the span of a batch, in the trace of the first of its charges
// that has one; it links to the others.
func batchSpan(ctx context.Context, batch []settleJob) (_ context.Context, end func(error)) {
	var links []trace.Link
	for _, job := range batch {
		if span := trace.SpanFromContext(job.ctx); span.IsRecording() {
			links = append(links, trace.Link{SpanContext: span.SpanContext()})
		}
	}
	if len(links) == 0 {
		return ctx, func(error) {}
	}
	ctx = trace.ContextWithSpanContext(ctx, links[0].SpanContext)
	ctx, span := telemetry.Tracer().Start(ctx, "settle batch", trace.WithLinks(links[1:]...),
		trace.WithAttributes(attribute.Int("lntpay.batch_size", len(batch))))

	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "failed")
		}
		span.End()
	}
}

// waiting answers the jobs whose callers have gone and returns the others.
func waiting(batch []settleJob) []settleJob {
	return slices.DeleteFunc(batch, func(job settleJob) bool {
		err := job.ctx.Err()
		if err != nil {
			job.answer(err)
		}

		return err != nil
	})
}

// ofARow reports whether a transaction failed for what is in one of its rows:
// Postgres answered, and not that it was canceled (57014), that a lock was not
// to be had (55P03, 40P01, 40001), or that it has no room or is going away.
func ofARow(err error) bool {
	for _, refused := range []error{ledger.ErrAlreadyPosted, ledger.ErrInsufficientBalance, ledger.ErrUnknownWorkspace} {
		if errors.Is(err, refused) {
			return true
		}
	}
	var answered *pgconn.PgError
	if !errors.As(err, &answered) || len(answered.Code) < 2 {
		return false
	}

	return !slices.Contains(passingClasses, answered.Code[:2])
}

// passingClasses are the classes of SQLSTATE that say nothing about a row:
// connection, rollback, resources, object in use, operator, system.
var passingClasses = []string{"08", "40", "53", "55", "57", "58"}

func (s *Settler) commit(ctx context.Context, ids []string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	result, err := s.store.SettleCharges(ctx, ids)
	if err != nil {
		return fmt.Errorf("settle %d charges: %w", len(ids), err)
	}
	s.metrics.batch.Observe(float64(len(ids)))
	for _, paid := range result.Paid {
		if payments.ChargeStatus(paid.Was).Closed() {
			s.alerts.Raise(ctx, AlertPaidAfterClose, "a closed charge was paid: the node settled a canceled invoice",
				"charge", paid.Charge.ID, "was", paid.Was)
		}
	}
	for _, id := range result.Suspended {
		s.alerts.Raise(ctx, AlertSecondReceipt, "a paid charge got a second receipt, now in suspense", "charge", id)
	}

	return nil
}

func (s *Settler) refuse(cause error) {
	for {
		select {
		case job := <-s.queue:
			job.answer(errors.Join(errors.New("activities: the worker stops"), cause))
		default:
			return
		}
	}
}
