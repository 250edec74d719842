package workflows

import (
	"fmt"
	"maps"

	"github.com/prometheus/client_golang/prometheus"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// The metrics of Temporal's SDK that are exported, with what they mean, for the
// SDK has no help texts. The others are dropped. Their labels are names of ours
// (namespace, task queue, workflow and activity type, operation), never a
// client's.
var (
	sdkCounters = map[string]string{
		"temporal_workflow_completed":                 "Workflow runs that completed.",
		"temporal_workflow_canceled":                  "Workflow runs that ended canceled.",
		"temporal_workflow_failed":                    "Workflow runs that failed.",
		"temporal_workflow_continue_as_new":           "Workflow runs that continued as a new one.",
		"temporal_workflow_task_execution_failed":     "Workflow tasks that failed, by reason: a bug, or code that does not fit a history.",
		"temporal_workflow_task_no_completion":        "Workflow tasks that ended without an answer to the server.",
		"temporal_activity_execution_failed":          "Attempts at activities that failed.",
		"temporal_activity_task_error":                "Activity tasks that the SDK failed.",
		"temporal_local_activity_total":               "Local activities that were begun.",
		"temporal_local_activity_execution_failed":    "Attempts at local activities that failed.",
		"temporal_local_activity_error":               "Local activities that ended with an error.",
		"temporal_sticky_cache_hit":                   "Workflow tasks whose run was in memory.",
		"temporal_sticky_cache_miss":                  "Workflow tasks whose run had to be replayed.",
		"temporal_sticky_cache_total_forced_eviction": "Runs that left memory for want of room.",
		"temporal_request":                            "Calls to Temporal, by operation.",
		"temporal_request_failure":                    "Calls to Temporal that failed, by operation and code.",
		"temporal_request_resource_exhausted":         "Calls that Temporal refused for its limits, by operation.",
		"temporal_long_request_failure":               "Polls and waits that failed, by operation and code.",
	}
	sdkGauges = map[string]string{
		"temporal_worker_task_slots_available": "Free slots of a worker, by kind.",
		"temporal_worker_task_slots_used":      "Slots of a worker in use, by kind.",
		"temporal_num_pollers":                 "Polls under way, by kind.",
		"temporal_sticky_cache_size":           "Runs in memory.",
	}
	sdkTimers = map[string]string{
		"temporal_workflow_endtoend_latency":               "Time from the start of a workflow run to its end.",
		"temporal_workflow_task_schedule_to_start_latency": "Time that a workflow task waited for a worker.",
		"temporal_workflow_task_execution_latency":         "Time that a workflow task took.",
		"temporal_workflow_task_replay_latency":            "Time that a replay of a history took.",
		"temporal_activity_schedule_to_start_latency":      "Time that an activity waited for a worker.",
		"temporal_activity_execution_latency":              "Time that an attempt at an activity took.",
		"temporal_local_activity_execution_latency":        "Time that an attempt at a local activity took.",
		"temporal_request_latency":                         "Time that calls to Temporal took, by operation.",
	}
)

// latencyBounds are in seconds: from a task that a free worker takes at once to
// a run that waits for days.
var latencyBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 600, 3600, 86400}

// maxSeries bounds the series of one metric, whatever happens.
const maxSeries = 1000

// WithMetrics exports the metrics of Temporal's SDK into a registry. Each client
// needs labels of its own there: wrap the registry.
func WithMetrics(registry prometheus.Registerer) (DialOption, error) {
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics of temporal's SDK: %w", err)
	}
	help := map[string]string{}
	for _, some := range []map[string]string{sdkCounters, sdkGauges, sdkTimers} {
		maps.Copy(help, some)
	}
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithCardinalityLimit(maxSeries),
		metric.WithView(func(instrument metric.Instrument) (metric.Stream, bool) {
			text, ok := help[instrument.Name]
			stream := metric.Stream{Name: instrument.Name, Description: text, Unit: instrument.Unit}
			switch {
			case !ok:
				stream.Aggregation = metric.AggregationDrop{}
			case instrument.Kind == metric.InstrumentKindHistogram:
				stream.Aggregation = metric.AggregationExplicitBucketHistogram{Boundaries: latencyBounds, NoMinMax: true}
			}

			return stream, true
		}))
	handler := opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
	})

	return func(options *client.Options) { options.MetricsHandler = handler }, nil
}
