package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is what became of a request.
type outcome string

const (
	// outcomeAdmitted was paid for and answered by the upstream.
	outcomeAdmitted outcome = "admitted"
	// outcomeFree cost nothing: by its path, its service or a freebie.
	outcomeFree outcome = "free"
	// outcomeChallenged was answered 402.
	outcomeChallenged outcome = "challenged"
	// outcomeRefused was answered by the gateway with anything else.
	outcomeRefused outcome = "refused"
	// outcomeUpstreamError came to nothing because of the upstream.
	outcomeUpstreamError outcome = "upstream_error"
	// outcomeClientGone was given up by its client.
	outcomeClientGone outcome = "client_gone"
)

// noService is the label of requests that are no service's.
const noService = "none"

type metrics struct {
	requests *prometheus.CounterVec
	upstream *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry, services []Service) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_gateway_requests_total",
			Help: "Requests by service and what became of them.",
		}, []string{"service", "outcome"}),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lntpay_gateway_upstream_seconds",
			Help:    "Time until an upstream began its answer, by service.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 60},
		}, []string{"service"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_gateway_in_flight", Help: "Requests under way, bounded by limits.in_flight.",
		}),
	}
	registry.MustRegister(m.requests, m.upstream, m.inFlight)
	// Series that exist from the start show the first request as an increase.
	for _, s := range services {
		for _, o := range []outcome{
			outcomeAdmitted, outcomeFree, outcomeChallenged, outcomeRefused, outcomeUpstreamError, outcomeClientGone,
		} {
			m.requests.WithLabelValues(s.Name, string(o))
		}
	}

	return m
}

func (m *metrics) observeUpstream(service string, took time.Duration) {
	m.upstream.WithLabelValues(service).Observe(took.Seconds())
}
