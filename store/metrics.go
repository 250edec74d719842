package store

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Metrics tell what the transactions of payments have done and how long money
// took. They are observed after the commit. A nil Metrics observes nothing: the
// API and the operator's commands move no money.
type Metrics struct {
	receiptLag   prometheus.Histogram
	creditLag    prometheus.Histogram
	settleCredit prometheus.Histogram
	charges      *prometheus.CounterVec
	chargedMsat  *prometheus.CounterVec
	withdrawals  *prometheus.CounterVec
	paidMsat     *prometheus.CounterVec
	feeMsat      prometheus.Counter
	holdToSend   prometheus.Histogram
	sendToFinal  *prometheus.HistogramVec
}

// How a charge was paid, or a withdrawal made.
const (
	byLightning = "lightning"
	byBook      = "book"
)

var (
	// fastBuckets are of what normally takes milliseconds, and may wait for an
	// outage to end.
	fastBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600}
	// paymentBuckets are of what the network may hold for days.
	paymentBuckets = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400, 604800}
)

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		receiptLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lntpay_receipt_lag_seconds", Buckets: fastBuckets,
			Help: "From the node's settled_at (its clock, whole seconds) to the writing of the receipt (Postgres' clock).",
		}),
		creditLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lntpay_credit_lag_seconds", Buckets: fastBuckets,
			Help: "From the recording of a receipt to the credit of its charge, both by Postgres' clock.",
		}),
		settleCredit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lntpay_settle_to_credit_seconds", Buckets: fastBuckets,
			Help: "From the node's settled_at (its clock, whole seconds) to the credit (Postgres' clock).",
		}),
		charges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_charges_closed_total", Help: "Charges that became paid, expired or canceled, by status.",
		}, []string{"status"}),
		chargedMsat: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_charges_credited_msat_total", Help: "Millisatoshis credited to workspaces for charges, by way.",
		}, []string{"way"}),
		withdrawals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_withdrawals_closed_total", Help: "Withdrawals that succeeded or failed, by status and way.",
		}, []string{"status", "way"}),
		paidMsat: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_withdrawals_paid_msat_total", Help: "Millisatoshis that withdrawals paid, without fees, by way.",
		}, []string{"way"}),
		feeMsat: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lntpay_withdrawals_fee_msat_total", Help: "Millisatoshis of routing fees that workspaces paid.",
		}),
		holdToSend: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lntpay_withdrawal_hold_to_send_seconds", Buckets: paymentBuckets,
			Help: "From the lock of a withdrawal's funds to its first send, observed at its end; Postgres' clock.",
		}),
		sendToFinal: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lntpay_withdrawal_send_to_final_seconds", Buckets: paymentBuckets,
			Help: "From a withdrawal's first send to its end, by status; Postgres' clock.",
		}, []string{"status"}),
	}
	registry.MustRegister(m.receiptLag, m.creditLag, m.settleCredit, m.charges, m.chargedMsat, m.withdrawals, m.paidMsat,
		m.feeMsat, m.holdToSend, m.sendToFinal)
	// Series that exist from the start show the first event as an increase.
	for _, status := range []payments.ChargeStatus{payments.ChargePaid, payments.ChargeExpired, payments.ChargeCanceled} {
		m.charges.WithLabelValues(string(status))
	}
	for _, way := range []string{byLightning, byBook} {
		m.chargedMsat.WithLabelValues(way)
		m.paidMsat.WithLabelValues(way)
		for _, status := range []payments.WithdrawalStatus{payments.WithdrawalSucceeded, payments.WithdrawalFailed} {
			m.withdrawals.WithLabelValues(string(status), way)
			m.sendToFinal.WithLabelValues(string(status))
		}
	}

	return m
}

// recorded observes receipts that were new.
func (m *Metrics) recorded(fresh []db.WriteReceiptsRow) {
	if m == nil {
		return
	}
	for _, row := range fresh {
		m.receiptLag.Observe(max(row.SettledSAgo, 0))
	}
}

// credited observes charges that became paid by their receipts.
func (m *Metrics) credited(paid []db.PayChargesRow) {
	if m == nil {
		return
	}
	for _, row := range paid {
		m.creditLag.Observe(max(row.RecordedSAgo, 0))
		m.settleCredit.Observe(max(row.SettledSAgo, 0))
		m.charges.WithLabelValues(row.Charge.Status).Inc()
		m.chargedMsat.WithLabelValues(byLightning).Add(float64(row.Charge.AmountPaidMsat))
	}
}

// closed observes a charge that ended without money.
func (m *Metrics) closed(status payments.ChargeStatus) {
	if m != nil {
		m.charges.WithLabelValues(string(status)).Inc()
	}
}

// booked observes the charge of a book transfer.
func (m *Metrics) booked(charge db.Charge) {
	if m == nil {
		return
	}
	m.charges.WithLabelValues(charge.Status).Inc()
	m.chargedMsat.WithLabelValues(byBook).Add(float64(charge.AmountPaidMsat))
}

// ended observes a withdrawal that is over.
func (m *Metrics) ended(row db.Withdrawal) {
	if m == nil {
		return
	}
	m.withdrawals.WithLabelValues(row.Status, row.Kind).Inc()
	if row.Status == string(payments.WithdrawalSucceeded) {
		m.paidMsat.WithLabelValues(row.Kind).Add(float64(row.AmountMsat))
		m.feeMsat.Add(float64(row.FeeMsat))
	}
	if row.SentAt == nil || row.CompletedAt == nil {
		return
	}
	m.holdToSend.Observe(row.SentAt.Sub(row.CreatedAt).Seconds())
	m.sendToFinal.WithLabelValues(row.Status).Observe(row.CompletedAt.Sub(*row.SentAt).Seconds())
}

// poolCollector reads a pool's statistics at each scrape.
type poolCollector struct {
	pool                                        *pgxpool.Pool
	connections, maxConnections                 *prometheus.Desc
	acquires, waited, canceled, waits, newConns *prometheus.Desc
}

// PoolCollector tells how the store's connections are used.
func (s *Store) PoolCollector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lntpay_postgres_"+name, help, labels, nil)
	}

	return &poolCollector{
		pool:           s.Pool,
		connections:    desc("connections", "Connections of the pool, by state.", "state"),
		maxConnections: desc("connections_max", "The most connections that the pool may have (max_conns)."),
		acquires:       desc("acquires_total", "Times that a connection was taken from the pool."),
		waited:         desc("acquires_waited_total", "Times that no connection was free and the taker waited."),
		canceled:       desc("acquires_canceled_total", "Times that the taker gave up before it got a connection."),
		waits:          desc("acquire_wait_seconds_total", "Time that takers waited while no connection was free."),
		newConns:       desc("connections_opened_total", "Connections that were opened."),
	}
}

func (c *poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.connections, c.maxConnections, c.acquires, c.waited, c.canceled, c.waits, c.newConns,
	} {
		out <- d
	}
}

func (c *poolCollector) Collect(out chan<- prometheus.Metric) {
	stat := c.pool.Stat()
	gauge := func(d *prometheus.Desc, value int32, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	count := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value)
	}
	gauge(c.connections, stat.AcquiredConns(), "acquired")
	gauge(c.connections, stat.IdleConns(), "idle")
	gauge(c.connections, stat.ConstructingConns(), "constructing")
	gauge(c.maxConnections, stat.MaxConns())
	count(c.acquires, float64(stat.AcquireCount()))
	count(c.waited, float64(stat.EmptyAcquireCount()))
	count(c.canceled, float64(stat.CanceledAcquireCount()))
	count(c.waits, stat.EmptyAcquireWaitTime().Seconds())
	count(c.newConns, float64(stat.NewConnsCount()))
}
