package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// tracesPath is where OTLP over HTTP takes traces.
	tracesPath = "/v1/traces"
	// exportTimeout bounds one batch, its repeats included; what then is not
	// taken is dropped.
	exportTimeout = 10 * time.Second
	// queueSpans bounds what waits for the collector; past it spans are dropped.
	// A paid charge has some thirty.
	queueSpans = 8192
	// complainEvery bounds how often a collector that is away is logged.
	complainEvery = time.Minute
)

// Config says where traces go. It has the fields of config.Telemetry, so one
// converts to the other.
type Config struct {
	// OTLPEndpoint is a collector's http(s) URL; empty is off. A URL without a
	// path gets /v1/traces.
	OTLPEndpoint string
	// SampleRatio is the share of traces that is kept, 0 to 1.
	SampleRatio float64
	// ServiceName names the process to the collector.
	ServiceName string
}

// tracing says that somebody takes spans: without it nothing is put into
// Temporal's headers.
var tracing atomic.Bool

// Start sends traces to the collector of cfg until the returned function, which
// hands in what is left within its context's deadline. Without an endpoint it
// does nothing. The collector is never waited for: spans that it does not take
// are dropped, and log hears of it once a minute.
//
// The standard variables OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and the like,
// OTEL_BSP_* and OTEL_RESOURCE_ATTRIBUTES are honoured by the library.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (stop func(context.Context) error, err error) {
	if cfg.OTLPEndpoint == "" {
		return func(context.Context) error { return nil }, nil
	}
	endpoint, err := url.Parse(cfg.OTLPEndpoint)
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp_endpoint: %w", err)
	}
	if strings.Trim(endpoint.Path, "/") == "" {
		endpoint.Path = tracesPath
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint.String()),
		otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: exportTimeout / 2, MaxElapsedTime: exportTimeout,
		}))
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp_endpoint: %w", err)
	}
	otel.SetErrorHandler(complain(log))

	return StartWith(ctx, cfg, sdktrace.NewBatchSpanProcessor(fence{exporter},
		sdktrace.WithMaxQueueSize(queueSpans), sdktrace.WithExportTimeout(exportTimeout)))
}

// StartWith is Start with any taker of spans.
func StartWith(ctx context.Context, cfg Config, processor sdktrace.SpanProcessor) (stop func(context.Context) error, err error) {
	described, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", cfg.ServiceName), attribute.String("service.version", version()),
	), resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(processor), sdktrace.WithResource(described),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))),
	)
	otel.SetTracerProvider(provider)
	tracing.Store(true)

	return provider.Shutdown, nil
}

// complain logs what the library has to say, once a minute.
func complain(log *slog.Logger) otel.ErrorHandlerFunc {
	var last atomic.Int64

	return func(err error) {
		now := time.Now().Unix()
		if before := last.Load(); now-before >= int64(complainEvery/time.Second) && last.CompareAndSwap(before, now) {
			log.Warn("traces are not taken", "error", err)
		}
	}
}

// version is that of the module, or of the commit, that the binary was built of.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}

	return info.Main.Version
}
