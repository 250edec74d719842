package rules

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	promrules "github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"
)

// healthy is what a quiet production tells, once a minute for four hours: two
// workers, of which one watches and sweeps.
const healthy = `load 1m
	up{job="lntpay-api", instance="api"} 1x240
	up{job="lntpay-worker", instance="w1"} 1x240
	up{job="lntpay-worker", instance="w2"} 1x240
	process_start_time_seconds{job="lntpay-worker", instance="w1"} 1000x240
	lntpay_alerts_total{environment="production", alert="node_regressed", instance="w1"} 0x240
	lntpay_alerts_total{environment="production", alert="excess_fee", instance="w1"} 2x240
	lntpay_withdrawals_under_review{environment="production", instance="w1"} 0x240
	lntpay_withdrawals_oldest_seconds{environment="production", status="held", instance="w1"} 0x240
	lntpay_withdrawals_oldest_seconds{environment="production", status="following", instance="w1"} 12x240
	lntpay_withdrawals_soonest_htlc_expiry_height{environment="production", node="merchant", instance="w1"} 900144x240
	lntpay_stray_payments{environment="production", node="merchant", instance="w1"} 0x240
	lntpay_charges_overdue{environment="production", instance="w1"} 0x240
	lntpay_receipts_uncredited_oldest_seconds{environment="production", instance="w1"} 0x240
	lntpay_counted_timestamp_seconds{environment="production", instance="w1"} 0+60x240
	lntpay_swept_total{environment="production", kind="charge", instance="w1"} 3x240
	lntpay_node_reachable{environment="production", node="merchant", instance="w1"} 1x240
	lntpay_node_reachable{environment="production", node="merchant", instance="w2"} 1x240
	lntpay_node_synced_to_chain{environment="production", node="merchant", instance="w1"} 1x240
	lntpay_node_block_height{environment="production", node="merchant", instance="w1"} 900000+0.1x240
	lntpay_node_channels{environment="production", node="merchant", state="active", instance="w1"} 4x240
	lntpay_node_channels{environment="production", node="merchant", state="inactive", instance="w1"} 0x240
	lntpay_node_regressed{environment="production", node="merchant", instance="w1"} 0x240
	lntpay_node_stream_up{environment="production", instance="w1"} 1x240
	lntpay_node_stream_up{environment="production", instance="w2"} 0x240
	lntpay_node_settle_index_lag{environment="production", node="merchant", instance="w1"} 0x240
	lntpay_node_stream_breaks_total{environment="production", instance="w1"} 1x240
	lntpay_reconcile_findings{environment="production", invariant="I1", instance="w1"} 0x240
	lntpay_reconcile_last_success_timestamp_seconds{environment="production", instance="w1"} 0+60x240
	lntpay_liabilities_msat{environment="production", instance="w1"} 1000000x240
	lntpay_node_assets_msat{environment="production", kind="local", instance="w1"} 1500000x240
	lntpay_payouts_frozen{environment="production", scope="all", instance="w1"} 0x240
	lntpay_ledger_sealed_lag_transfers{environment="production", instance="w1"} 12x240
	lntpay_deliveries_oldest_seconds{environment="production", state="pending", instance="w1"} 0x240
	lntpay_deliveries_oldest_seconds{environment="production", state="failing", instance="w1"} 600x240
	lntpay_webhook_attempt_duration_seconds_count{environment="production", outcome="delivered", instance="w1"} 0+60x240
	lntpay_webhook_attempt_duration_seconds_count{environment="production", outcome="answered_5xx", instance="w1"} 0+1x240
	lntpay_credit_lag_seconds_count{environment="production", instance="w1"} 0+60x240
	lntpay_credit_lag_seconds_bucket{environment="production", le="0.1", instance="w1"} 0+60x240
	lntpay_credit_lag_seconds_bucket{environment="production", le="10", instance="w1"} 0+60x240
	lntpay_credit_lag_seconds_bucket{environment="production", le="+Inf", instance="w1"} 0+60x240
	lntpay_http_request_duration_seconds_count{route="/v1/charges", method="POST", status="201", instance="api"} 0+600x240
	lntpay_http_request_duration_seconds_count{route="/v1/charges", method="POST", status="503", instance="api"} 0+1x240
	lntpay_http_request_duration_seconds_bucket{route="/v1/charges", method="POST", status="201", le="0.05", instance="api"} 0+600x240
	lntpay_http_request_duration_seconds_bucket{route="/v1/charges", method="POST", status="201", le="+Inf", instance="api"} 0+600x240
	temporal_workflow_task_execution_failed_total{environment="production", workflow_type="Charge", failure_reason="NonDeterminismError", instance="w1"} 0x240
	temporal_request_failure_total{environment="production", operation="SignalWorkflowExecution", status_code="NOT_FOUND", instance="w1"} 0+60x240
	temporal_worker_task_slots_available{environment="production", task_queue="payments", worker_type="ActivityWorker", instance="w1"} 999x240
	temporal_workflow_task_schedule_to_start_latency_seconds_bucket{environment="production", task_queue="payments", le="0.05", instance="w1"} 0+60x240
	temporal_workflow_task_schedule_to_start_latency_seconds_bucket{environment="production", task_queue="payments", le="+Inf", instance="w1"} 0+60x240
	lntpay_postgres_connections{environment="production", part="worker", state="acquired", instance="w1"} 3x240
	lntpay_postgres_connections_max{environment="production", part="worker", instance="w1"} 20x240
	lntpay_postgres_acquire_wait_seconds_total{environment="production", part="worker", instance="w1"} 0+0.01x240
	lntpay_gateway_requests_total{service="weather", outcome="admitted", instance="gw"} 0+60x240
	lntpay_gateway_requests_total{service="weather", outcome="upstream_error", instance="gw"} 0x240
`

// The rules are evaluated in these minutes of a story: what they look back on
// is there from the first.
const firstMinute, lastMinute = 100, 190

// instead replaces the line of healthy that begins so, or leaves it out.
type instead struct{ line, with string }

func story(t *testing.T, changes ...instead) string {
	t.Helper()
	lines := strings.Split(healthy, "\n")
	for _, change := range changes {
		at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), change.line) })
		require.GreaterOrEqual(t, at, 0, "healthy has no %s", change.line)
		if change.with == "" {
			lines = slices.Delete(lines, at, at+1)
		} else {
			lines[at] = "\t" + change.with
		}
	}

	return strings.Join(lines, "\n")
}

// firing runs the rules over a story and tells since which minute each alert
// fires, of those that still do at its end.
func firing(t *testing.T, told string) map[string]int {
	t.Helper()
	storage := promqltest.LoadedStorage(t, told)
	t.Cleanup(func() { _ = storage.Close() })
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 1_000_000)
	manager := promrules.NewManager(&promrules.ManagerOptions{
		QueryFunc: promrules.EngineQueryFunc(engine, storage), AppendableV2: storage, Queryable: storage,
		Context: t.Context(), NotifyFunc: func(context.Context, string, ...*promrules.Alert) {},
		Logger: slog.New(slog.DiscardHandler), Parser: parser.NewParser(parser.Options{}),
	})
	groups, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, alertsFile)
	require.Empty(t, errs)
	since := map[string]int{}
	for minute := firstMinute; minute < lastMinute; minute++ {
		at := time.Unix(0, 0).UTC().Add(time.Duration(minute) * time.Minute)
		for _, group := range groups {
			group.Eval(t.Context(), at)
			for _, rule := range group.AlertingRules() {
				require.NoError(t, rule.LastError(), rule.Name())
				if rule.State() != promrules.StateFiring {
					delete(since, rule.Name())
				} else if _, ok := since[rule.Name()]; !ok {
					since[rule.Name()] = minute
				}
			}
		}
	}

	return since
}

func TestNothingFiresWhenAllIsWell(t *testing.T) {
	t.Parallel()
	require.Empty(t, firing(t, healthy))
}

// Each trouble begins in minute 120, or is there from the start, and is told by
// its alerts and by no others.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	const env = `{environment="production", `
	for name, c := range map[string]struct {
		changes []instead
		// want are the alerts and from which minute on they fire.
		want map[string]int
	}{
		"the node went back in time": {[]instead{
			{"lntpay_node_regressed", `lntpay_node_regressed` + env + `node="merchant", instance="w1"} 0x119 1x120`},
		}, map[string]int{"LNTPayNodeRegressed": 120}},
		"an alert of the code": {[]instead{
			{"lntpay_alerts_total" + env + `alert="node_regressed"`, `lntpay_alerts_total` + env + `alert="node_regressed", instance="w1"} 0x179 1x60`},
		}, map[string]int{"LNTPayMoneyAlert": 180}},
		"a notice of the code": {[]instead{
			{"lntpay_alerts_total" + env + `alert="excess_fee"`, `lntpay_alerts_total` + env + `alert="excess_fee", instance="w1"} 2x179 3x60`},
		}, map[string]int{"LNTPayNotice": 180}},
		"under review": {[]instead{
			{"lntpay_withdrawals_under_review", `lntpay_withdrawals_under_review` + env + `instance="w1"} 0x119 2x120`},
		}, map[string]int{"LNTPayWithdrawalUnderReview": 135}},
		"held by the network": {[]instead{
			{"lntpay_withdrawals_oldest_seconds" + env + `status="following"`, `lntpay_withdrawals_oldest_seconds` + env + `status="following", instance="w1"} 0+60x240`},
		}, map[string]int{"LNTPayWithdrawalStuck": 105}},
		"locked and not sent": {[]instead{
			{"lntpay_withdrawals_oldest_seconds" + env + `status="held"`, `lntpay_withdrawals_oldest_seconds` + env + `status="held", instance="w1"} 0x119 0+60x120`},
		}, map[string]int{"LNTPayWithdrawalNotSent": 136}},
		"an HTLC is about to expire": {[]instead{
			{"lntpay_withdrawals_soonest", `lntpay_withdrawals_soonest_htlc_expiry_height` + env + `node="merchant", instance="w1"} 900030x240`},
		}, map[string]int{"LNTPayHTLCNearExpiry": 183}},
		"money is not credited": {[]instead{
			{"lntpay_receipts_uncredited_oldest", `lntpay_receipts_uncredited_oldest_seconds` + env + `instance="w1"} 0x119 0+60x120`},
		}, map[string]int{"LNTPayCreditLate": 125}},
		"credits are slow": {[]instead{
			{"lntpay_credit_lag_seconds_bucket" + env + `le="0.1"`, `lntpay_credit_lag_seconds_bucket` + env + `le="0.1", instance="w1"} 0x240`},
		}, map[string]int{"LNTPayCreditsSlow": 110}},
		"no worker reaches the node": {[]instead{
			{"lntpay_node_reachable" + env + `node="merchant", instance="w1"`, `lntpay_node_reachable` + env + `node="merchant", instance="w1"} 1x119 0x120`},
			{"lntpay_node_reachable" + env + `node="merchant", instance="w2"`, `lntpay_node_reachable` + env + `node="merchant", instance="w2"} 1x129 0x110`},
		}, map[string]int{"LNTPayNodeUnreachable": 131}},
		"one worker does not reach the node": {[]instead{
			{"lntpay_node_reachable" + env + `node="merchant", instance="w1"`, `lntpay_node_reachable` + env + `node="merchant", instance="w1"} 0x240`},
		}, map[string]int{}},
		"no blocks": {[]instead{
			{"lntpay_node_block_height", `lntpay_node_block_height` + env + `node="merchant", instance="w1"} 900000x240`},
		}, map[string]int{"LNTPayNodeBlocksStale": 110}},
		"no watcher": {[]instead{
			{"lntpay_node_stream_up" + env + `instance="w1"`, `lntpay_node_stream_up` + env + `instance="w1"} 1x119 0x120`},
		}, map[string]int{"LNTPayNoWatcher": 121}},
		"the watcher has moved": {[]instead{
			{"lntpay_node_stream_up" + env + `instance="w1"`, `lntpay_node_stream_up` + env + `instance="w1"} 1x119 0x120`},
			{"lntpay_node_stream_up" + env + `instance="w2"`, `lntpay_node_stream_up` + env + `instance="w2"} 0x119 1x120`},
		}, map[string]int{}},
		"the watcher lags": {[]instead{
			{"lntpay_node_settle_index_lag", `lntpay_node_settle_index_lag` + env + `node="merchant", instance="w1"} 0x119 4x120`},
		}, map[string]int{"LNTPayWatcherLags": 125}},
		"nobody sweeps": {[]instead{
			{"lntpay_counted_timestamp_seconds", `lntpay_counted_timestamp_seconds` + env + `instance="w1"} 0+60x119 stale _x119`},
		}, map[string]int{"LNTPaySweeperSilent": 125}},
		"an invariant is broken": {[]instead{
			{"lntpay_reconcile_findings", `lntpay_reconcile_findings` + env + `invariant="I2", instance="w1"} 0x119 1x120`},
		}, map[string]int{"LNTPayReconcileFinding": 120}},
		"no reconciliation": {[]instead{
			{"lntpay_reconcile_last", `lntpay_reconcile_last_success_timestamp_seconds` + env + `instance="w1"} 0x240`},
		}, map[string]int{"LNTPayReconcileStale": 186}},
		"more is owed than there is": {[]instead{
			{"lntpay_liabilities_msat", `lntpay_liabilities_msat` + env + `instance="w1"} 1000000x119 2000000x120`},
		}, map[string]int{"LNTPayLiabilitiesUncovered": 135}},
		"payouts are frozen": {[]instead{
			{"lntpay_payouts_frozen", `lntpay_payouts_frozen` + env + `scope="all", instance="w1"} 0x119 1x120`},
		}, map[string]int{"LNTPayPayoutsFrozen": 125}},
		"workflow code is broken": {[]instead{
			{"temporal_workflow_task_execution_failed_total", `temporal_workflow_task_execution_failed_total` + env +
				`workflow_type="Charge", failure_reason="NonDeterminismError", instance="w1"} 0x119 1+1x120`},
		}, map[string]int{"LNTPayWorkflowTasksFail": 125}},
		"tasks wait": {[]instead{
			{"temporal_workflow_task_schedule_to_start_latency_seconds_bucket" + env + `task_queue="payments", le="0.05"`,
				`temporal_workflow_task_schedule_to_start_latency_seconds_bucket` + env + `task_queue="payments", le="5", instance="w1"} 0+60x240`},
		}, map[string]int{"LNTPayTasksWait": 110}},
		"calls to Temporal fail": {[]instead{
			{"temporal_request_failure_total", `temporal_request_failure_total` + env + `operation="StartWorkflowExecution", status_code="UNAVAILABLE", instance="w1"} 0x119 0+60x120`},
		}, map[string]int{"LNTPayTemporalFails": 128}},
		"the pool is full": {[]instead{
			{"lntpay_postgres_connections" + env, `lntpay_postgres_connections` + env + `part="worker", state="acquired", instance="w1"} 3x119 20x120`},
		}, map[string]int{"LNTPayPostgresPoolFull": 125}},
		"the way out is broken": {[]instead{
			{"lntpay_webhook_attempt_duration_seconds_count" + env + `outcome="delivered"`,
				`lntpay_webhook_attempt_duration_seconds_count` + env + `outcome="no_answer", instance="w1"} 0+60x240`},
		}, map[string]int{"LNTPayWebhooksMostFail": 110}},
		"the API answers errors": {[]instead{
			{`lntpay_http_request_duration_seconds_count{route="/v1/charges", method="POST", status="503"`,
				`lntpay_http_request_duration_seconds_count{route="/v1/charges", method="POST", status="503", instance="api"} 0x119 0+100x120`},
		}, map[string]int{"LNTPayAPIErrors": 126}},
		"one worker is down": {[]instead{
			{`up{job="lntpay-worker", instance="w2"`, `up{job="lntpay-worker", instance="w2"} 1x119 0x120`},
		}, map[string]int{"LNTPayProcessDown": 122}},
		"no worker": {[]instead{
			{`up{job="lntpay-worker", instance="w1"`, `up{job="lntpay-worker", instance="w1"} 1x119 0x120`},
			{`up{job="lntpay-worker", instance="w2"`, `up{job="lntpay-worker", instance="w2"} 1x119 0x120`},
		}, map[string]int{"LNTPayProcessDown": 122, "LNTPayNoWorker": 121}},
		"an upstream fails": {[]instead{
			{`lntpay_gateway_requests_total{service="weather", outcome="upstream_error"`,
				`lntpay_gateway_requests_total{service="weather", outcome="upstream_error", instance="gw"} 0+10x240`},
		}, map[string]int{"LNTPayGatewayUpstream": 105}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, firing(t, story(t, c.changes...)))
		})
	}
}
