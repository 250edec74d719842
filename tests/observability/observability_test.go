// Package observability_test leads payments through a real stack and reads what
// it says of them: no secret is in its logs and traces, and docs/observability.md
// shows them as they are. LNTPAY_RECORD_OBSERVABILITY=1 writes the page's blocks
// anew, which `make record-observability` does.
package observability_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/tests/stack"
)

// shared is one stack, whose log at debug and whose spans are kept from its
// start on, as they are before the fence: it must have nothing to do.
var shared struct {
	once  sync.Once
	stack *stack.Stack
	log   logBook
	spans *tracetest.InMemoryExporter
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stack != nil {
		shared.stack.Close()
	}
	os.Exit(code)
}

// logBook keeps lines.
type logBook struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

// Write implements io.Writer.
func (b *logBook) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.lines.Write(line)
}

func (b *logBook) all() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()

	return bytes.Clone(b.lines.Bytes())
}

type client struct {
	*stack.Stack
	key string
}

type object = map[string]any

func newClient(t *testing.T) *client {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Postgres, Temporal and a Lightning network, which -short leaves out")
	}
	shared.once.Do(func() {
		ctx := context.Background()
		shared.spans = tracetest.NewInMemoryExporter()
		if _, shared.err = telemetry.StartWith(ctx, telemetry.Config{SampleRatio: 1, ServiceName: "lntpay"},
			sdktrace.NewSimpleSpanProcessor(shared.spans)); shared.err != nil {
			return
		}
		log := telemetry.WithContext(slog.New(slog.NewJSONHandler(&shared.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		shared.stack, shared.err = stack.Open(ctx, stack.WithLog(log))
	})
	require.NoError(t, shared.err)
	_, key, err := shared.stack.NewKey(t.Context())
	require.NoError(t, err)

	return &client{Stack: shared.stack, key: key}
}

// call makes one request and decodes the answer.
func (c *client) call(t *testing.T, want int, method, path, body string, headers ...string) object {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, c.APIURL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, want, response.StatusCode, string(answer))
	var decoded object
	if len(answer) > 0 {
		require.NoError(t, json.Unmarshal(answer, &decoded))
	}

	return decoded
}

func text(o object, field string) string {
	value, _ := o[field].(string)

	return value
}

// receive is an endpoint that answers with the status; it returns its secret.
func (c *client) receive(t *testing.T, status int) (endpoint object, got chan struct{}) {
	t.Helper()
	got = make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		got <- struct{}{}
	}))
	t.Cleanup(server.Close)
	endpoint = c.call(t, http.StatusCreated, "POST", "/v1/webhooks/endpoints", fmt.Sprintf(`{"url":%q,"events":["*"]}`, server.URL))

	return endpoint, got
}

// paid is a charge that was paid and is over in all its parts.
func (c *client) paid(t *testing.T, sats int) (id string) {
	t.Helper()
	charge := c.call(t, http.StatusCreated, "POST", "/v1/charges", fmt.Sprintf(`{"amount_sats":%d}`, sats))
	_, err := c.Net.Pay(t.Context(), text(charge, "bolt11"), 0)
	require.NoError(t, err)
	id = text(charge, "id")
	require.Equal(t, "paid", c.call(t, http.StatusOK, "GET", "/v1/charges/"+id+"?wait=30", "")["status"])
	c.ended(t, "charge/"+id)

	return id
}

// withdrawn is a withdrawal that succeeded and is over in all its parts.
func (c *client) withdrawn(t *testing.T) (id string) {
	t.Helper()
	bolt11, err := c.Net.AddInvoice(t.Context(), 10_000, time.Hour)
	require.NoError(t, err)
	id = text(c.call(t, http.StatusCreated, "POST", "/v1/withdrawals", fmt.Sprintf(`{"bolt11":%q}`, bolt11), "Idempotency-Key", bolt11[len(bolt11)-20:]), "id")
	require.Equal(t, "succeeded", c.call(t, http.StatusOK, "GET", "/v1/withdrawals/"+id+"?wait=60", "")["status"])
	c.ended(t, "withdrawal/"+id)

	return id
}

func (c *client) ended(t *testing.T, workflowID string) {
	t.Helper()
	require.NoError(t, c.Temporal.GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), nil))
}

// await gives what is told a moment after its cause, such as the end of a span,
// the time to be told.
func await(t *testing.T, what string, there func() bool) {
	t.Helper()
	require.Eventually(t, there, 20*time.Second, 50*time.Millisecond, what)
}
