package api

import (
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.HistogramVec
	inFlight prometheus.Gauge
	waiters  prometheus.Gauge
	streams  prometheus.Gauge
	limited  *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lntpay_http_request_duration_seconds",
			Help:    "Time to answer, by route, method and status. Long-polls are included.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 60},
		}, []string{"route", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_http_posts_in_flight",
			Help: "POSTs that wait for a workflow, bounded by api.max_in_flight.",
		}),
		waiters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_http_long_polls", Help: "GETs that wait for a charge or a withdrawal.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_http_event_streams", Help: "Clients of the event stream.",
		}),
	}
	m.limited = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lntpay_rate_limited_total",
		Help: "Requests refused by a limit: key, workspace, withdrawals, address, key_waits, workspace_waits or open_charges.",
	}, []string{"by"})
	registry.MustRegister(m.requests, m.inFlight, m.waiters, m.streams, m.limited)

	return m
}

// observe leaves streams out: how long a client stays is no time to answer.
func (m *metrics) observe(c *gin.Context, took time.Duration) {
	if c.Writer.Header().Get("Content-Type") == contentStream {
		return
	}
	route := c.FullPath()
	if route == "" {
		route = "unknown"
	}
	method := c.Request.Method
	if !knownMethods[method] {
		method = "other" // A client chooses the method; it must not choose series.
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(c.Writer.Status())).Observe(took.Seconds())
}

var knownMethods = map[string]bool{
	"GET": true, "POST": true, "PATCH": true, "DELETE": true, "PUT": true, "HEAD": true, "OPTIONS": true,
}
