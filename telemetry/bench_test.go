package telemetry_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/telemetry"
)

// processor is the processor time of this process, which other load does not
// change as it does the clock's.
func processor() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)

	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// charge makes the spans of a charge that is opened, but for Temporal's: a
// request and seven steps.
func charge(ctx context.Context) {
	ctx, span := telemetry.Tracer().Start(ctx, "POST /v1/charges")
	defer span.End()
	telemetry.Set(telemetry.WithFields(ctx), telemetry.Resource("ch_1"), slog.String("workspace_id", "ws_1"))
	for range 5 {
		query := telemetry.Postgres{}.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: "-- name: GetCharge :one\nSELECT 1"})
		telemetry.Postgres{}.TraceQueryEnd(query, nil, pgx.TraceQueryEndData{})
	}
	for range 2 {
		_, end := telemetry.Step(ctx, "lnd AddInvoice")
		end(nil)
	}
}

func BenchmarkTrace(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	for _, run := range []struct{ name, endpoint string }{{"off", ""}, {"on", server.URL}} {
		b.Run(run.name, func(b *testing.B) {
			stop, err := telemetry.Start(b.Context(), telemetry.Config{OTLPEndpoint: run.endpoint, SampleRatio: 1, ServiceName: "bench"},
				slog.New(slog.DiscardHandler))
			require.NoError(b, err)
			before := processor()
			for b.Loop() {
				charge(b.Context())
			}
			require.NoError(b, stop(b.Context()))
			b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
