package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/lntpay/lntpay/telemetry"
)

// collector takes OTLP over HTTP.
func collector(t *testing.T) (url string, got chan *coltracepb.ExportTraceServiceRequest) {
	t.Helper()
	got = make(chan *coltracepb.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &coltracepb.ExportTraceServiceRequest{}
		if err == nil && r.URL.Path == "/v1/traces" && proto.Unmarshal(body, request) == nil {
			got <- request
		}
	}))
	t.Cleanup(server.Close)

	return server.URL, got
}

// One test after the other: who takes spans is global.
func TestTraces(t *testing.T) {
	t.Run("off by default", func(t *testing.T) {
		stop, err := telemetry.Start(t.Context(), telemetry.Config{SampleRatio: 1}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		interceptors, err := telemetry.Interceptors()
		require.NoError(t, err)
		require.Empty(t, interceptors)
		ctx, span := telemetry.Tracer().Start(t.Context(), "request")
		defer span.End()
		require.False(t, span.IsRecording())
		require.Equal(t, ctx, telemetry.Postgres{}.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: "SELECT 1"}))
		require.NoError(t, stop(t.Context()))
	})
	t.Run("a collector gets them behind the fence", func(t *testing.T) {
		url, got := collector(t)
		stop, err := telemetry.Start(t.Context(), telemetry.Config{OTLPEndpoint: url, SampleRatio: 1, ServiceName: "test"}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		interceptors, err := telemetry.Interceptors()
		require.NoError(t, err)
		require.Len(t, interceptors, 1)
		failing(t.Context())
		require.NoError(t, stop(t.Context()))
		text := (<-got).String()
		for _, there := range []string{"request", "sql GetCharge", "SQLSTATE 23505", "lnd AddInvoice", "canceled", "lntpay.charge_id", "ch_1", "service.name", "[redacted]"} {
			require.Contains(t, text, there)
		}
		require.NotContains(t, text, "SECRET")
	})
	t.Run("one that is away holds up nobody", func(t *testing.T) {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, "info")
		require.NoError(t, err)
		stop, err := telemetry.Start(t.Context(), telemetry.Config{OTLPEndpoint: "http://127.0.0.1:1", SampleRatio: 1, ServiceName: "test"}, log)
		require.NoError(t, err)
		failing(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		_ = stop(ctx) // Whether in time or not, it returns.
		require.Less(t, time.Since(began), 5*time.Second)
		require.Contains(t, out.String(), "traces are not taken")
	})
}

// failing is a request with calls that fail, each with a secret in its error.
func failing(ctx context.Context) {
	ctx, span := telemetry.Tracer().Start(ctx, "request")
	defer span.End()
	telemetry.Set(ctx, telemetry.Resource("ch_1"))
	span.RecordError(errors.New("lnt_sandbox_SECRET"))
	span.AddEvent("event", trace.WithAttributes(attribute.String("preimage", "SECRET")))
	span.SetAttributes(attribute.String("header", "Bearer SECRET"))
	query := telemetry.Postgres{}.TraceQueryStart(ctx, nil,
		pgx.TraceQueryStartData{SQL: "-- name: GetCharge :one\nSELECT 'SECRET'", Args: []any{"SECRET"}})
	telemetry.Postgres{}.TraceQueryEnd(query, nil, pgx.TraceQueryEndData{Err: &pgconn.PgError{Code: "23505", Message: "SECRET"}})
	_, end := telemetry.Step(ctx, "lnd AddInvoice")
	end(errors.Join(context.Canceled, errors.New("SECRET")))
}
