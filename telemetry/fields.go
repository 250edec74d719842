package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/lntpay/lntpay/payments"
)

// spanPrefix begins the names of our own attributes in spans.
const spanPrefix = "lntpay."

// keyResource is the field of an object that has none of its kind.
const keyResource = "resource_id"

// fields are what is known of the request or activity that a context belongs to.
// They grow while it runs: the workspace is known once the key is read.
type fields struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

type fieldsKey struct{}

// WithFields gives ctx fields of its own: every log line that gets the context,
// or one below it, carries them, and so does the current span.
func WithFields(ctx context.Context, attrs ...slog.Attr) context.Context {
	ctx = context.WithValue(ctx, fieldsKey{}, &fields{})
	Set(ctx, attrs...)

	return ctx
}

// Set adds fields to the context's request or activity, and to the current span
// under lntpay.*; a field that is there is replaced. Without WithFields above it
// only the span learns.
func Set(ctx context.Context, attrs ...slog.Attr) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		for _, attr := range attrs {
			span.SetAttributes(attribute.String(spanPrefix+attr.Key, attr.Value.String()))
		}
	}
	known, ok := ctx.Value(fieldsKey{}).(*fields)
	if !ok {
		return
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	for _, attr := range attrs {
		at := slices.IndexFunc(known.attrs, func(one slog.Attr) bool { return one.Key == attr.Key })
		if at >= 0 {
			known.attrs[at] = attr
		} else {
			known.attrs = append(known.attrs, attr)
		}
	}
}

// fieldsOf is a copy of what is known now.
func fieldsOf(ctx context.Context) []slog.Attr {
	known, ok := ctx.Value(fieldsKey{}).(*fields)
	if !ok {
		return nil
	}
	known.mu.Lock()
	defer known.mu.Unlock()

	return slices.Clone(known.attrs)
}

// Resource is the field that names an object by its public id.
func Resource(id string) slog.Attr {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case payments.PrefixCharge:
		return slog.String("charge_id", id)
	case payments.PrefixWithdrawal:
		return slog.String("withdrawal_id", id)
	case payments.PrefixDelivery:
		return slog.String("delivery_id", id)
	}

	return slog.String(keyResource, id)
}
