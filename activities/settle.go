package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

const (
	// maxSettleBatch is past the knee of the measured curve (about 100) and
	// keeps the transaction at some milliseconds.
	maxSettleBatch = 200
	// settleQueue bounds what waits; more wait in their callers.
	settleQueue = 2000
	// settleTimeout bounds one batch.
	settleTimeout = 3 * time.Second
)

// Settler credits charges in batches on arrival: while one transaction runs,
// what arrives meanwhile becomes the next. A lone charge waits for nobody, and
// a thousand of one workspace share a lock and a commit.
type Settler struct {
	store   *store.Store
	alerts  *Alerts
	queue   chan settleJob
	metrics settleMetrics
}

type settleJob struct {
	id   string
	done chan error
}

type settleMetrics struct {
	batch               prometheus.Histogram
	paid                prometheus.Counter
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
			paid: prometheus.NewCounter(prometheus.CounterOpts{
				Name: "lntpay_charges_paid_total", Help: "Charges that became paid.",
			}),
			insufficientInbound: prometheus.NewCounter(prometheus.CounterOpts{
				Name: "lntpay_charges_insufficient_inbound_total",
				Help: "Charges over more than the node could receive when they were created.",
			}),
		},
	}
	registry.MustRegister(settler.metrics.batch, settler.metrics.paid, settler.metrics.insufficientInbound)

	return settler
}

// Settle credits one charge if it has a receipt, and returns when the
// transaction that did it is committed. An error means "unknown": call again.
func (s *Settler) Settle(ctx context.Context, id string) error {
	job := settleJob{id: id, done: make(chan error, 1)}
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

// settle runs one batch. If a batch fails, each of its charges is tried alone,
// so that one bad row cannot hold back its neighbours.
func (s *Settler) settle(ctx context.Context, batch []settleJob) {
	ids := make([]string, 0, len(batch))
	seen := map[string]bool{}
	for _, job := range batch {
		if !seen[job.id] {
			seen[job.id] = true
			ids = append(ids, job.id)
		}
	}
	err := s.commit(ctx, ids)
	if err == nil || len(ids) == 1 {
		for _, job := range batch {
			job.done <- err
		}

		return
	}
	for _, job := range batch {
		job.done <- s.commit(ctx, []string{job.id})
	}
}

func (s *Settler) commit(ctx context.Context, ids []string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	result, err := s.store.SettleCharges(ctx, ids)
	if err != nil {
		return fmt.Errorf("settle %d charges: %w", len(ids), err)
	}
	s.metrics.batch.Observe(float64(len(ids)))
	s.metrics.paid.Add(float64(len(result.Paid)))
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
			job.done <- errors.Join(errors.New("activities: the worker stops"), cause)
		default:
			return
		}
	}
}
