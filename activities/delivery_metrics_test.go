package activities

import (
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

// Each attempt that was made counts once, by an outcome of ours whatever the
// receiver answers, and only a first one that delivered counts as its latency.
func TestAttemptOutcomes(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]webhooks.Result{
		attemptDelivered:  {StatusCode: http.StatusNoContent},
		attemptRedirected: {StatusCode: http.StatusFound, Err: "answered"},
		attemptRefused:    {StatusCode: http.StatusGone, Err: "answered"},
		attemptBroken:     {StatusCode: http.StatusBadGateway, Err: "answered"},
		attemptOdd:        {StatusCode: 999, Err: "answered"},
		attemptUnanswered: {Err: "the connection was refused"},
	} {
		require.Equal(t, want, attemptOutcome(r))
	}
}

func TestDeliveryMetrics(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, http.StatusServiceUnavailable, http.StatusOK)
	b := setup(t, r.URL)
	registry := prometheus.NewRegistry()
	b.Metrics = NewDeliveryMetrics(registry)
	failing := b.event(t)[0]
	result := b.attempt(t, failing)
	require.True(t, result.Failed)
	require.Equal(t, b.workspace, result.WorkspaceID)
	require.False(t, b.attempt(t, failing).Failed, "not due: nothing was tried")
	b.makeDue(t, failing)
	require.False(t, b.attempt(t, failing).Failed)
	require.Zero(t, count(t, registry, "lntpay_webhook_first_attempt_lag_seconds"), "it was the second attempt")
	healthy := b.event(t)[0]
	b.exec(t, "UPDATE event SET created_at = created_at - interval '20 seconds'")
	b.attempt(t, healthy)
	require.EqualValues(t, 1, count(t, registry, "lntpay_webhook_first_attempt_lag_seconds"))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "lntpay_webhook_first_attempt_lag_seconds" {
			require.InDelta(t, 20, family.GetMetric()[0].GetHistogram().GetSampleSum(), 10)
		}
	}
	require.EqualValues(t, 3, count(t, registry, "lntpay_webhook_attempt_duration_seconds"))
	lint, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, lint)
}

// A count that nobody has renewed is not told for ever: another worker may count
// now.
func TestOldCountsAreNotTold(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := NewNodeMetrics(registry)
	told := func() int {
		n, err := testutil.GatherAndCount(registry, "lntpay_charges_open", "lntpay_counted_timestamp_seconds")
		require.NoError(t, err)

		return n
	}
	require.Zero(t, told(), "nothing is told before the first count")
	made := &tally{counts: m.counts}
	made.set(m.counts.charges, 3, "pending")
	made.publish()
	require.Equal(t, 2, told())
	m.counts.at = time.Now().Add(-countsFresh - time.Second)
	require.Zero(t, told())
}

// count is the number of observations of a histogram, over all its series.
func count(t *testing.T, registry prometheus.Gatherer, name string) uint64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	n := uint64(0)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			n += metric.GetHistogram().GetSampleCount()
		}
	}

	return n
}
