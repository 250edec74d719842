package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/telemetry"
)

// requestLine makes one request and returns its line in the log.
func (b *bench) requestLine(log *bytes.Buffer, method, path, body string, options ...option) map[string]any {
	b.t.Helper()
	log.Reset()
	request := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+b.key)
	request.Header.Set("Content-Type", "application/json")
	for _, option := range options {
		option(request)
	}
	b.server.Handler().ServeHTTP(httptest.NewRecorder(), request)
	for line := range strings.Lines(log.String()) {
		var record map[string]any
		require.NoError(b.t, json.Unmarshal([]byte(line), &record))
		if record["msg"] == "request" {
			return record
		}
	}
	require.Fail(b.t, "no line", log.String())

	return nil
}

func TestARequestHasALine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "debug")
	require.NoError(t, err)
	level := map[string][3]string{}
	for _, requests := range []string{config.RequestsErrors, config.RequestsWrites, config.RequestsAll, ""} {
		b := setup(t, func(o *api.Options) { o.Log, o.LogRequests = log, requests })
		line := b.requestLine(&out, http.MethodPost, "/v1/charges", `{"amount_sats":1}`, withHeader("X-Request-Id", "mine"))
		require.Equal(t, "mine", line["request_id"])
		require.Equal(t, b.workspace, line["workspace_id"])
		require.Equal(t, "sandbox", line["environment"])
		require.Equal(t, "/v1/charges", line["route"])
		require.EqualValues(t, 201, line["status"])
		require.Regexp(t, "^key_", line["key_id"])
		require.Regexp(t, "^ch_", line["charge_id"])
		require.Positive(t, line["duration_ms"])
		require.NotContains(t, out.String(), b.key)
		read := b.requestLine(&out, http.MethodGet, "/v1/charges/"+line["charge_id"].(string), "", withHeader("Cookie", "s3cret"))
		require.Equal(t, "/v1/charges/:id", read["route"])
		require.Equal(t, line["charge_id"], read["charge_id"])
		require.NotContains(t, out.String(), "s3cret")
		weak := b.newKey(b.workspace, nil, apikey.ChargesRead)
		failed := b.requestLine(&out, http.MethodPost, "/v1/keys", `{}`, withKey(weak))
		level[requests] = [3]string{line["level"].(string), read["level"].(string), failed["level"].(string)}
		unknown := b.requestLine(&out, http.MethodGet, "/v1/nothing/s3cret", "", withKey("s3cret"))
		require.Empty(t, unknown["route"])
		require.NotContains(t, out.String(), "s3cret")
	}
	require.Equal(t, map[string][3]string{
		config.RequestsErrors: {"DEBUG", "DEBUG", "INFO"},
		config.RequestsWrites: {"INFO", "DEBUG", "INFO"},
		config.RequestsAll:    {"INFO", "INFO", "INFO"},
		"":                    {"INFO", "DEBUG", "INFO"},
	}, level)
}

// TestAClientsTraceIsLinked: it chooses neither the trace nor that it is kept.
func TestAClientsTraceIsLinked(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	_, err := telemetry.StartWith(t.Context(), telemetry.Config{SampleRatio: 1, ServiceName: "test"}, sdktrace.NewSimpleSpanProcessor(spans))
	require.NoError(t, err)
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "debug")
	require.NoError(t, err)
	b := setup(t, func(o *api.Options) { o.Log = log })
	const theirs = "0123456789abcdef0123456789abcdef"
	line := b.requestLine(&out, http.MethodPost, "/v1/charges", `{"amount_sats":1}`,
		withHeader("traceparent", "00-"+theirs+"-0123456789abcdef-00"), withHeader("tracestate", "vendor=s3cret"))
	var names []string
	for _, span := range spans.GetSpans() {
		if span.SpanContext.TraceID().String() != line["trace_id"] {
			continue
		}
		names = append(names, span.Name)
		if span.Name == "POST /v1/charges" {
			require.False(t, span.Parent.IsValid())
			require.Len(t, span.Links, 1)
			require.Equal(t, theirs, span.Links[0].SpanContext.TraceID().String())
			require.Empty(t, span.Links[0].SpanContext.TraceState().String())
			require.Equal(t, line["span_id"], span.SpanContext.SpanID().String())
		}
	}
	require.Contains(t, names, "POST /v1/charges")
	require.Contains(t, names, "sql InsertClaim")
}
