package activities_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// samples are the values of a registry as `name{label,…}`, with the labels'
// values only; of a histogram its count, and the buckets as `name_bucket{…,le}`.
func samples(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, pair := range metric.GetLabel() {
				labels = append(labels, pair.GetValue())
			}
			key := func(suffix string, more ...string) string {
				return family.GetName() + suffix + "{" + strings.Join(slices.Concat(labels, more), ",") + "}"
			}
			if h := metric.GetHistogram(); h != nil {
				all[key("_count")] = float64(h.GetSampleCount())
				for _, bucket := range h.GetBucket() {
					all[key("_bucket", fmt.Sprint(bucket.GetUpperBound()))] = float64(bucket.GetCumulativeCount())
				}
			}
			all[key("")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}

	return all
}

// older makes a charge look as if it had been made earlier; its id changes.
func (w *world) older(t *testing.T, id string, age time.Duration) string {
	t.Helper()
	older := payments.FirstID(payments.PrefixCharge, time.Now().Add(-age))
	w.exec(t, "UPDATE charge SET id = $2, created_at = now() - make_interval(secs => $3) WHERE id = $1", id, older, age.Seconds())

	return older
}

// What is open is counted by state and age, and what is late by itself.
func TestCountsByAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.endpoint(t, "enabled", "*")
	w.endpoint(t, "disabled", "*")
	young, old, late := w.opened(t), w.opened(t), w.opened(t)
	old = w.older(t, old, 2*time.Hour)
	w.exec(t, "UPDATE charge SET expires_at = now() - interval '3 minutes', next_check_at = now() WHERE id = $1", w.older(t, late, 8*24*time.Hour))
	w.receive(t, w.pay(t, young, 0))
	w.exec(t, "UPDATE receipt SET recorded_at = now() - interval '5 minutes'")
	w.paid(t) // Its delivery was never tried.
	w.paid(t)
	w.exec(t, `UPDATE delivery SET attempts = 3, created_at = now() - interval '2 hours' WHERE id = (SELECT min(id) FROM delivery)`)
	w.exec(t, "UPDATE webhook_endpoint SET failing_since = now() WHERE status = 'enabled'")
	w.swept(t)
	got := samples(t, w.registry)
	for name, want := range map[string]float64{
		"lntpay_charges_open{pending}":                3,
		"lntpay_charges_open{creating}":               0,
		"lntpay_charges_pending_older{1m}":            2,
		"lntpay_charges_pending_older{1h}":            2,
		"lntpay_charges_pending_older{6h}":            1,
		"lntpay_charges_pending_older{7d}":            1,
		"lntpay_charges_overdue{}":                    1,
		"lntpay_receipts_uncredited{}":                1,
		"lntpay_deliveries_open{pending}":             1,
		"lntpay_deliveries_open{failing}":             1,
		"lntpay_webhook_endpoints{enabled}":           1,
		"lntpay_webhook_endpoints{disabled}":          1,
		"lntpay_webhook_endpoints_failing{}":          1,
		"lntpay_node_regressed{merchant}":             0,
		"lntpay_node_settle_index{merchant,node}":     3,
		"lntpay_node_settle_index{merchant,receipts}": 3,
		"lntpay_node_settle_index_lag{merchant}":      0,
	} {
		require.Contains(t, got, name)
		require.InDelta(t, want, got[name], 0, name)
	}
	require.InDelta(t, 8*86400, got["lntpay_charges_pending_oldest_seconds{}"], 60)
	require.InDelta(t, 300, got["lntpay_receipts_uncredited_oldest_seconds{}"], 60)
	require.InDelta(t, 7200, got["lntpay_deliveries_oldest_seconds{failing}"], 60)
	require.Less(t, got["lntpay_deliveries_oldest_seconds{pending}"], 60.0)
	require.InDelta(t, time.Now().Unix(), got["lntpay_counted_timestamp_seconds{}"], 60)

	// The node settles, and nobody hears of it.
	w.pay(t, old, 0)
	w.swept(t)
	require.InDelta(t, 1, samples(t, w.registry)["lntpay_node_settle_index_lag{merchant}"], 0)
}

// Money that came in and went out is counted once it is committed, with the time
// that it took, and not again when a step is repeated.
func TestPaymentMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Store.Metrics = store.NewMetrics(w.registry)
	paid := w.paid(t)
	_, err := w.SettleCharge(t.Context(), paid)
	require.NoError(t, err)
	_, err = w.CancelCharge(t.Context(), w.cancelOrder(t, w.opened(t)))
	require.NoError(t, err)
	before := samples(t, w.registry) // Funding withdrawals pays charges too.
	succeeded, _ := w.held(t, lightningtest.Succeed(7))
	w.send(t, succeeded)
	w.succeeded(t, succeeded, 7)
	w.send(t, succeeded)
	failed, _ := w.held(t, lightningtest.Fail(lightning.ReasonNoRoute))
	w.send(t, failed)
	require.Equal(t, "failed", w.payout(t, failed).Status)
	got := samples(t, w.registry)
	for name, want := range map[string]float64{
		"lntpay_charges_closed_total{canceled}":                 1,
		"lntpay_charges_closed_total{expired}":                  0,
		"lntpay_withdrawals_closed_total{succeeded,lightning}":  1,
		"lntpay_withdrawals_closed_total{failed,lightning}":     1,
		"lntpay_withdrawals_closed_total{succeeded,book}":       0,
		"lntpay_withdrawals_paid_msat_total{lightning}":         float64(amount),
		"lntpay_withdrawals_fee_msat_total{}":                   7,
		"lntpay_withdrawal_hold_to_send_seconds_count{}":        2,
		"lntpay_withdrawal_send_to_final_seconds_count{failed}": 1,
	} {
		require.Contains(t, got, name)
		require.InDelta(t, want, got[name], 0, name)
	}
	for name, want := range map[string]float64{
		"lntpay_charges_closed_total{paid}":             1,
		"lntpay_charges_credited_msat_total{lightning}": float64(amount),
		"lntpay_receipt_lag_seconds_count{}":            1,
		"lntpay_credit_lag_seconds_count{}":             1,
		"lntpay_settle_to_credit_seconds_count{}":       1,
	} {
		require.InDelta(t, want, before[name], 0, name)
	}
}

// Every alert is told from the start: the first one is an increase.
func TestAlertsBeginAtZero(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	activities.NewAlerts(quietLog(), registry)
	got := samples(t, registry)
	require.Len(t, got, len(activities.AlertNames()))
	for _, name := range activities.AlertNames() {
		require.Contains(t, got, "lntpay_alerts_total{"+name+"}")
	}
}
