package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
)

// Interceptors take traces through Temporal: from the call that starts a
// workflow or updates it, through its run, to its activities. What they write
// into histories is the W3C traceparent, ids only. Workflows and activities
// named in endless never end and have no spans, so that what they do begins
// traces of its own. There are none while nobody takes spans.
func Interceptors(endless ...string) ([]interceptor.ClientInterceptor, error) {
	if !tracing.Load() {
		return nil, nil
	}
	traced, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: Tracer(), DisableQueryTracing: true, DisableBaggage: true,
		TextMapPropagator: propagation.TraceContext{},
		// A header that cannot be read must not fail the run of a payment.
		AllowInvalidParentSpans: true,
		SpanStarter: func(ctx context.Context, tracer trace.Tracer, name string, options ...trace.SpanStartOption) trace.Span {
			if _, what, _ := strings.Cut(name, ":"); slices.Contains(endless, what) {
				return noop.Span{}
			}
			_, span := tracer.Start(ctx, name, options...)

			return temporalSpan{span}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}

	return []interceptor.ClientInterceptor{traced}, nil
}

// temporalSpan names the payment that a workflow id is about.
type temporalSpan struct{ trace.Span }

// SetAttributes implements trace.Span.
func (s temporalSpan) SetAttributes(attrs ...attribute.KeyValue) {
	s.Span.SetAttributes(attrs...)
	for _, attr := range attrs {
		if attr.Key != "temporalWorkflowID" {
			continue
		}
		if field, ok := ResourceOf(attr.Value.AsString()); ok {
			s.Span.SetAttributes(attribute.String(spanPrefix+field.Key, field.Value.String()))
		}
	}
}

// ResourceOf is the field of the object that a workflow drives, read from the
// workflow's own id: kind/id.
func ResourceOf(workflowID string) (field slog.Attr, ok bool) {
	_, id, _ := strings.Cut(workflowID, "/")
	field = Resource(id)

	return field, field.Key != keyResource
}
