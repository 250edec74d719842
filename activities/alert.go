package activities

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Alerts raises what a human must look at: an error in the log and a counter
// that an alert rule watches, by the alert's name.
type Alerts struct {
	log     *slog.Logger
	counter *prometheus.CounterVec
}

// NewAlerts registers the counter lntpay_alerts_total.
func NewAlerts(log *slog.Logger, registry prometheus.Registerer) *Alerts {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lntpay_alerts_total", Help: "Things that a human must look at, by name.",
	}, []string{"alert"})
	registry.MustRegister(counter)
	// A series that exists from the start shows the first alert as an increase.
	for _, name := range AlertNames() {
		counter.WithLabelValues(name)
	}

	return &Alerts{log: log, counter: counter}
}

// Names of alerts; each has an entry in docs/runbooks.
const (
	AlertRowMissing         = "row_missing"
	AlertPaidAfterClose     = "paid_after_close"
	AlertSecondReceipt      = "second_receipt"
	AlertReceiptUnexplained = "receipt_unexplained"
	AlertSettledForNothing  = "settled_for_nothing"
	AlertNodeRegressed      = "node_regressed"
	AlertHashMismatch       = "payment_hash_mismatch"
	AlertUnderReview        = "withdrawal_under_review"
	AlertExcessFee          = "excess_fee"
	AlertNoHTLCs            = "payment_without_htlcs"
	AlertLatePayment        = "paid_after_void"
	AlertPaymentUnexplained = "payment_unexplained"
	AlertInvariantBroken    = "invariant_broken"
	AlertChainBroken        = "chain_broken"
)

// AlertNames are all names of alerts.
func AlertNames() []string {
	return []string{
		AlertRowMissing, AlertPaidAfterClose, AlertSecondReceipt, AlertReceiptUnexplained, AlertSettledForNothing,
		AlertNodeRegressed, AlertHashMismatch, AlertUnderReview, AlertExcessFee, AlertNoHTLCs, AlertLatePayment,
		AlertPaymentUnexplained, AlertInvariantBroken, AlertChainBroken,
	}
}

// Raise reports an alert with attributes that name rows, never secrets.
func (a *Alerts) Raise(ctx context.Context, name, message string, attrs ...any) {
	a.counter.WithLabelValues(name).Inc()
	a.log.ErrorContext(ctx, message, append([]any{"alert", name}, attrs...)...)
}
