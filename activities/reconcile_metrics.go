package activities

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/lightning"
)

// reconcileMetrics tell what reconciliation found, and how it fares.
type reconcileMetrics struct {
	findings    *prometheus.GaugeVec
	lastSuccess prometheus.Gauge
	duration    prometheus.Gauge
	healed      *prometheus.CounterVec
	liabilities prometheus.Gauge
	assets      *prometheus.GaugeVec
	frozen      *prometheus.GaugeVec
	drift       prometheus.Gauge
}

// invariants are the values of the label invariant: each is told, also when
// nothing breaks it.
var invariants = []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "chain", "waits"}

func newReconcileMetrics(registry prometheus.Registerer) *reconcileMetrics {
	m := &reconcileMetrics{
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lntpay_reconcile_findings", Help: "Findings of reconciliation that are open, by invariant; normally none.",
		}, []string{"invariant"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_reconcile_last_success_timestamp_seconds",
			Help: "When books and node were last compared to the end, whatever was found.",
		}),
		duration: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_reconcile_duration_seconds", Help: "How long the last reconciliation took that this worker finished.",
		}),
		healed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lntpay_reconcile_healed_total", Help: "What reconciliation put right, by kind; normally nothing.",
		}, []string{"kind"}),
		liabilities: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_liabilities_msat", Help: "What is owed: all balances, and what was received and not credited yet.",
		}),
		assets: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lntpay_node_assets_msat", Help: "What the node has, by where.",
		}, []string{"kind"}),
		frozen: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lntpay_payouts_frozen", Help: "Freezes of payouts that hold, by scope: all, node or workspace.",
		}, []string{"scope"}),
		drift: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lntpay_drift_msat", Help: "What all books do not add up to zero by.",
		}),
	}
	registry.MustRegister(m.findings, m.lastSuccess, m.duration, m.healed, m.liabilities, m.assets, m.frozen, m.drift)
	m.healed.WithLabelValues(healedReceipt)
	m.healed.WithLabelValues(healedStray)

	return m
}

// The kinds of lntpay_reconcile_healed_total.
const (
	healedReceipt = "receipt"
	healedStray   = "stray_payment"
)

// showAssets tells what the node has.
func (m *reconcileMetrics) showAssets(has lightning.Balances) {
	for kind, amount := range map[string]int64{
		"local": int64(has.LocalMsat), "incoming": int64(has.IncomingMsat), "outgoing": int64(has.OutgoingMsat),
		"opening": int64(has.OpeningMsat), "closing": int64(has.ClosingMsat), "on_chain": int64(has.OnChainMsat),
	} {
		m.assets.WithLabelValues(kind).Set(float64(amount))
	}
}

// countFindings tells what is open and frozen. The sweeper does so too, so that
// no worker goes on telling what was true when it last reconciled.
func (a *Nodes) countFindings(ctx context.Context) error {
	m := a.Metrics.reconcile
	rows, err := a.Store.CountOpenFindings(ctx)
	if err != nil {
		return fmt.Errorf("count findings: %w", err)
	}
	open := map[string]int64{}
	for _, row := range rows {
		open[row.Invariant] = row.Findings
	}
	for _, invariant := range invariants {
		m.findings.WithLabelValues(invariant).Set(float64(open[invariant]))
	}
	frozen, err := a.Store.CountFrozen(ctx)
	if err != nil {
		return fmt.Errorf("count freezes: %w", err)
	}
	m.frozen.WithLabelValues("all").Set(float64(frozen.AllPayouts))
	m.frozen.WithLabelValues("node").Set(float64(frozen.Nodes))
	m.frozen.WithLabelValues("workspace").Set(float64(frozen.Workspaces))
	state, err := a.Store.GetReconciliation(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read how far reconciliation has come: %w", err)
	}
	if state.LastSuccessAt != nil {
		m.lastSuccess.Set(float64(state.LastSuccessAt.Unix()))
	}

	return nil
}
