package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger writes JSON lines from the level (debug, info, warn or error) on,
// with the fields of their context and behind the fence.
func NewLogger(out io.Writer, level string) (*slog.Logger, error) {
	var from slog.Level
	if err := from.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	options := &slog.HandlerOptions{Level: from, ReplaceAttr: redactAttr}

	return WithContext(slog.New(slog.NewJSONHandler(out, options))), nil
}

// WithContext makes a logger add to each line the fields of its context (see
// WithFields) and, in a trace, trace_id and span_id. A logger that does so
// already is returned as it is.
func WithContext(log *slog.Logger) *slog.Logger {
	if _, does := log.Handler().(*contextHandler); does {
		return log
	}

	return slog.New(&contextHandler{next: log.Handler()})
}

// contextHandler adds what a context knows.
type contextHandler struct {
	next slog.Handler
	// given are the keys of With, which a field does not repeat.
	given []string
}

// Enabled implements slog.Handler.
func (h *contextHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *contextHandler) Handle(ctx context.Context, record slog.Record) error {
	known := fieldsOf(ctx)
	span := trace.SpanContextFromContext(ctx)
	if len(known) == 0 && !span.IsValid() {
		return h.next.Handle(ctx, record)
	}
	record = record.Clone()
	present := slices.Clone(h.given)
	record.Attrs(func(attr slog.Attr) bool {
		present = append(present, attr.Key)

		return true
	})
	for _, attr := range known {
		if !slices.Contains(present, attr.Key) {
			record.AddAttrs(attr)
		}
	}
	if span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}

	return h.next.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h *contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	given := slices.Clone(h.given)
	for _, attr := range attrs {
		given = append(given, attr.Key)
	}

	return &contextHandler{next: h.next.WithAttrs(attrs), given: given}
}

// WithGroup implements slog.Handler.
func (h *contextHandler) WithGroup(name string) slog.Handler {
	return &contextHandler{next: h.next.WithGroup(name), given: h.given}
}
