package e2e_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/suite"
)

// What a running API and a running worker tell: of a charge that was paid, that
// it was, and how long its money took; of everything, nothing that docs/metrics.md
// has no row of, and no series that a client chose.
func TestMetricsOfARunningStack(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	url, got := c.Receive(t)
	c.Subscribe(t, url)
	charge := c.Charge(t, 10, "")
	c.Pay(t, charge, 0)
	suite.Next(t, got)
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = true
	}
	// The sweeper counts once a minute, other tests stop workers meanwhile.
	require.Eventually(t, func() bool {
		worker := c.told(t, c.WorkerMetrics, documented)
		for _, name := range []string{
			"lntpay_charges_open", "lntpay_receipt_lag_seconds", "lntpay_credit_lag_seconds", "lntpay_settle_to_credit_seconds",
			"lntpay_webhook_first_attempt_lag_seconds", "lntpay_node_reachable", "lntpay_node_settle_index", "lntpay_postgres_connections",
			"temporal_workflow_task_schedule_to_start_latency_seconds", "temporal_worker_task_slots_available", "temporal_sticky_cache_size",
			"temporal_activity_execution_latency_seconds", "temporal_num_pollers",
		} {
			if !worker[name] {
				return false
			}
		}

		return true
	}, 3*time.Minute, time.Second)
	api := c.told(t, c.APIMetrics, documented)
	for _, name := range []string{"lntpay_http_request_duration_seconds", "lntpay_postgres_connections_max", "temporal_request_latency_seconds"} {
		require.True(t, api[name], name)
	}
}

// told are the families of a registry.
func (c *client) told(t *testing.T, registry *prometheus.Registry, documented map[string]bool) map[string]bool {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, family := range families {
		names[family.GetName()] = true
		require.True(t, documented[family.GetName()], family.GetName())
		require.NotEmpty(t, family.GetHelp(), family.GetName())
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				for _, prefix := range []string{"ws_", "ch_", "wd_", "dlv_", "we_", "http://"} {
					require.NotContains(t, label.GetValue(), prefix, "%s: %s", family.GetName(), label)
				}
			}
		}
	}

	return names
}
