package activities

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/webhooks"
)

// DeliveryMetrics tell how attempts to deliver end. A nil one observes nothing.
type DeliveryMetrics struct {
	attempts *prometheus.HistogramVec
	first    prometheus.Histogram
	disabled prometheus.Counter
	putOff   prometheus.Counter
}

// The outcomes of an attempt: a receiver chooses its status code, but not a
// series of ours.
const (
	attemptDelivered  = "delivered"
	attemptRedirected = "answered_3xx"
	attemptRefused    = "answered_4xx"
	attemptBroken     = "answered_5xx"
	attemptOdd        = "answered_other"
	attemptUnanswered = "no_answer"
)

// NewDeliveryMetrics registers the metrics.
func NewDeliveryMetrics(registry prometheus.Registerer) *DeliveryMetrics {
	m := &DeliveryMetrics{
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lntpay_webhook_attempt_duration_seconds", Help: "Attempts to deliver an event, by outcome, and how long they took.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 20},
		}, []string{"outcome"}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lntpay_webhook_first_attempt_lag_seconds", Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
			Help: "From the event, which is the credit, to the end of a first attempt that delivered it; Postgres' clock.",
		}),
		disabled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lntpay_webhook_endpoints_disabled_total", Help: "Endpoints that were disabled because they only failed, or answered 410.",
		}),
		putOff: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lntpay_webhook_attempts_put_off_total", Help: "Attempts put off because their endpoint was busy with other deliveries.",
		}),
	}
	registry.MustRegister(m.attempts, m.first, m.disabled, m.putOff)
	// Series that exist from the start show the first attempt as an increase.
	for _, outcome := range []string{
		attemptDelivered, attemptRedirected, attemptRefused, attemptBroken, attemptOdd, attemptUnanswered,
	} {
		m.attempts.WithLabelValues(outcome)
	}

	return m
}

// attempt observes one that was made; eventAge is the event's when it ended,
// and made the number of attempts before it.
func (m *DeliveryMetrics) attempt(r webhooks.Result, eventAge time.Duration, made int32) {
	if m == nil {
		return
	}
	m.attempts.WithLabelValues(attemptOutcome(r)).Observe(r.Duration.Seconds())
	if r.OK() && made == 0 {
		m.first.Observe(max(eventAge, 0).Seconds())
	}
}

func (m *DeliveryMetrics) endpointDisabled() {
	if m != nil {
		m.disabled.Inc()
	}
}

func (m *DeliveryMetrics) attemptPutOff() {
	if m != nil {
		m.putOff.Inc()
	}
}

func attemptOutcome(r webhooks.Result) string {
	switch {
	case r.OK():
		return attemptDelivered
	case r.StatusCode == 0:
		return attemptUnanswered
	case r.StatusCode >= 300 && r.StatusCode < 400:
		return attemptRedirected
	case r.StatusCode >= 400 && r.StatusCode < 500:
		return attemptRefused
	case r.StatusCode >= 500 && r.StatusCode < 600:
		return attemptBroken
	}

	return attemptOdd
}
