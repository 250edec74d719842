package telemetry

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Postgres makes a span of each statement within a trace. It is named after the
// query in store/queries or ledger/queries; neither the SQL nor its parameters
// are in it.
type Postgres struct{}

var _ pgx.QueryTracer = Postgres{}

type statementKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (Postgres) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	_, span := Tracer().Start(ctx, "sql "+statementName(data.SQL), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql")))

	return context.WithValue(ctx, statementKey{}, span)
}

// TraceQueryEnd implements pgx.QueryTracer. Of an error only the code is told:
// its text may quote a value.
func (Postgres) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	span, ok := ctx.Value(statementKey{}).(trace.Span)
	if !ok {
		return
	}
	var answered *pgconn.PgError
	switch {
	case errors.As(data.Err, &answered):
		span.SetAttributes(attribute.String("db.response.status_code", answered.Code))
		span.SetStatus(codes.Error, "SQLSTATE "+answered.Code)
	case data.Err != nil && !errors.Is(data.Err, pgx.ErrNoRows):
		span.SetStatus(codes.Error, kindOf(data.Err))
	}
	span.End()
}

// statementName is sqlc's name of a query, or the first word of another.
func statementName(sql string) string {
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")

		return name
	}
	first, _, _ := strings.Cut(strings.TrimSpace(sql), " ")

	return strings.ToLower(first)
}
