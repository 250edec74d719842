package workflows

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
)

// What is exported of the SDK's metrics has help texts and a bounded number of
// labels, and each is a row of docs/metrics.md and the other way round.
func TestSDKMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	var options client.Options
	exported, err := WithMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"part": "worker"}, registry))
	require.NoError(t, err)
	exported(&options)
	another, err := WithMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"part": "api"}, registry))
	require.NoError(t, err, "a process may have two clients")
	another(&client.Options{})
	handler := options.MetricsHandler.WithTags(map[string]string{"namespace": "n"})
	for name := range sdkCounters {
		handler.Counter(name).Inc(1)
	}
	for name := range sdkGauges {
		handler.Gauge(name).Update(1)
	}
	for name := range sdkTimers {
		handler.Timer(name).Record(20 * time.Millisecond)
	}
	handler.Counter("temporal_of_tomorrow").Inc(1)
	families, err := registry.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, family := range families {
		names[family.GetName()] = true
		require.NotEmpty(t, family.GetHelp(), family.GetName())
		require.Len(t, family.GetMetric()[0].GetLabel(), 2, family.GetName())
		if h := family.GetMetric()[0].GetHistogram(); h != nil {
			require.InDelta(t, 0.02, h.GetSampleSum(), 1e-9, "seconds")
			require.Len(t, h.GetBucket(), len(latencyBounds))
		}
	}
	page, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(temporal_[a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, row[1])
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(names)), documented)
}

// Whatever a tag holds, a metric has a bounded number of series.
func TestSDKMetricsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	var options client.Options
	exported, err := WithMetrics(registry)
	require.NoError(t, err)
	exported(&options)
	for i := range 3 * maxSeries {
		options.MetricsHandler.WithTags(map[string]string{"workflow_type": time.Duration(i).String()}).Counter("temporal_request").Inc(1)
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.LessOrEqual(t, len(families[0].GetMetric()), maxSeries)
}
