package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// fence is an exporter that blanks what looks like a secret in what it exports.
type fence struct{ sdktrace.SpanExporter }

// ExportSpans implements sdktrace.SpanExporter.
func (f fence) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	clean := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		clean[i] = fencedSpan{span}
	}

	return f.SpanExporter.ExportSpans(ctx, clean)
}

type fencedSpan struct{ sdktrace.ReadOnlySpan }

// Attributes implements sdktrace.ReadOnlySpan.
func (s fencedSpan) Attributes() []attribute.KeyValue {
	return redactAttributes(s.ReadOnlySpan.Attributes())
}

// Events implements sdktrace.ReadOnlySpan.
func (s fencedSpan) Events() []sdktrace.Event {
	events := append([]sdktrace.Event(nil), s.ReadOnlySpan.Events()...)
	for i := range events {
		events[i].Attributes = redactAttributes(events[i].Attributes)
	}

	return events
}

// Status implements sdktrace.ReadOnlySpan.
func (s fencedSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = Redact(status.Description)

	return status
}

func redactAttributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	clean := make([]attribute.KeyValue, len(attrs))
	for i, attr := range attrs {
		switch {
		case isSecretName(string(attr.Key)):
			attr.Value = attribute.StringValue(redacted)
		case attr.Value.Type() == attribute.STRING:
			attr.Value = attribute.StringValue(Redact(attr.Value.AsString()))
		}
		clean[i] = attr
	}

	return clean
}
