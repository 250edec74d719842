package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/telemetry"
)

// record gives a request its fields, its line in the log and its span. Paths,
// queries, headers and bodies are in neither: the route and the ids say enough,
// and hold no secret.
func (s *Server) record(c *gin.Context) {
	began := time.Now()
	ctx, span := startSpan(c)
	c.Request = c.Request.WithContext(telemetry.WithFields(ctx, slog.String("request_id", requestID(c))))
	defer func() {
		status := c.Writer.Status()
		s.logRequest(c, status, time.Since(began))
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}()
	c.Next()
}

// startSpan begins the request's trace. One that the client says it is in is
// linked to and not continued: a client must choose neither our trace ids nor
// whether we keep a trace. A stream has no span: it would gather the reads of
// hours.
func startSpan(c *gin.Context) (context.Context, trace.Span) {
	ctx := c.Request.Context()
	route := c.FullPath()
	if route == routeStream {
		return ctx, trace.SpanFromContext(ctx)
	}
	if route == "" {
		route = "unknown"
	}
	method := c.Request.Method
	if !knownMethods[method] {
		method = "other"
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route)),
	}
	theirs := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(c.Request.Header))
	if link := trace.SpanContextFromContext(theirs); link.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: link.WithTraceState(trace.TraceState{})}))
	}

	return telemetry.Tracer().Start(ctx, method+" "+route, options...)
}

// logRequest writes the line of a request, at the level that log.requests says.
func (s *Server) logRequest(c *gin.Context, status int, took time.Duration) {
	level := slog.LevelDebug
	failed := status >= http.StatusBadRequest
	reads := c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead
	if failed || s.logRequests == config.RequestsAll || s.logRequests == config.RequestsWrites && !reads {
		level = slog.LevelInfo
	}
	s.log.LogAttrs(c.Request.Context(), level, "request", slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()), slog.Int("status", status), milliseconds(took))
}

// milliseconds is how long something took, to the microsecond.
func milliseconds(took time.Duration) slog.Attr {
	return slog.Float64("duration_ms", float64(took.Microseconds())/1000)
}
