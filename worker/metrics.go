package worker

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// healthEvery is how often a worker asks its node how it fares.
	healthEvery = 15 * time.Second
	// healthTimeout bounds one question.
	healthTimeout = 5 * time.Second
)

// health tells how the node fares as this worker sees it: one that another
// worker reaches may be out of reach for this one.
type health struct {
	reachable     prometheus.Gauge
	syncedToChain prometheus.Gauge
	syncedToGraph prometheus.Gauge
	height        prometheus.Gauge
	peers         prometheus.Gauge
	channels      *prometheus.GaugeVec
	latency       prometheus.Histogram
}

func newHealth(registry prometheus.Registerer, node string) *health {
	registry = prometheus.WrapRegistererWith(prometheus.Labels{"node": node}, registry)
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "lntpay_node_" + name, Help: help + " Asked every 15 s."})
	}
	h := &health{
		reachable:     gauge("reachable", "1 while the node answers this worker."),
		syncedToChain: gauge("synced_to_chain", "1 while the node says that it is synced to its chain."),
		syncedToGraph: gauge("synced_to_graph", "1 while the node says that it is synced to the graph."),
		height:        gauge("block_height", "The block height that the node knows."),
		peers:         gauge("peers", "Peers that the node is connected with."),
		channels: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lntpay_node_channels", Help: "Channels of the node, by state. Asked every 15 s.",
		}, []string{"state"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lntpay_node_info_duration_seconds", Help: "Time that the node took to answer GetInfo.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
	registry.MustRegister(h.reachable, h.syncedToChain, h.syncedToGraph, h.height, h.peers, h.channels, h.latency)

	return h
}

// watchHealth asks the node until ctx ends.
func (w *Worker) watchHealth(ctx context.Context) {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		w.askHealth(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// askHealth keeps what a node that does not answer said last, except that it is
// reachable: a height of 0 would be a lie.
func (w *Worker) askHealth(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	began := time.Now()
	said, err := w.Node.Health(ctx)
	if err != nil {
		w.health.reachable.Set(0)

		return
	}
	h := w.health
	h.latency.Observe(time.Since(began).Seconds())
	h.reachable.Set(1)
	h.syncedToChain.Set(truth(said.SyncedToChain))
	h.syncedToGraph.Set(truth(said.SyncedToGraph))
	h.height.Set(float64(said.BlockHeight))
	h.peers.Set(float64(said.Peers))
	h.channels.WithLabelValues("active").Set(float64(said.ActiveChannels))
	h.channels.WithLabelValues("inactive").Set(float64(said.InactiveChannels))
	h.channels.WithLabelValues("pending").Set(float64(said.PendingChannels))
}

func truth(is bool) float64 {
	if is {
		return 1
	}

	return 0
}
