package lntpay

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"
)

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("want %v, got %v", want, got)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func errorIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("want %v, got %v", target, err)
	}
}

func errorAs[E error](t *testing.T, err error) E {
	t.Helper()
	found, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("want a %T, got %v", found, err)
	}

	return found
}

// seen is a request that came to a server.
type seen struct {
	method, path, body string
	header             http.Header
}

// script is a server that answers each request by the next of its steps, and
// all that come after the last by that.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	seen  []seen
}

// play makes a client of a server that answers by script.
func play(t *testing.T, steps ...http.HandlerFunc) (*Client, *script) {
	t.Helper()
	s := &script{steps: steps}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)

	return newTestClient(t, server.URL), s
}

func newTestClient(t *testing.T, url string) *Client {
	t.Helper()
	c, err := New(Options{APIKey: "lnt_sandbox_test", BaseURL: url})
	noError(t, err)
	t.Cleanup(c.http.CloseIdleConnections)
	c.backoff = backoff{first: time.Millisecond, most: 2 * time.Millisecond}
	c.streamBackoff = c.backoff

	return c
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	step := s.steps[min(len(s.seen), len(s.steps)-1)]
	s.seen = append(s.seen, seen{r.Method, r.URL.RequestURI(), string(body), r.Header})
	s.mu.Unlock()
	step(w, r)
}

func (s *script) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.seen
}

// answer is a step with headers in pairs.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "req-1")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refusal is a step that answers with a problem.
func refusal(status int, code Code, headers ...string) http.HandlerFunc {
	body := `{"type":"about:blank","title":"x","status":0,"detail":"in words","code":"` + string(code) + `","request_id":"req-1"}`

	return answer(status, body, append([]string{"Content-Type", "application/problem+json"}, headers...)...)
}

// cut is a step that breaks the connection after the request was read.
func cut(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

// cutWithin is a step that breaks the connection within the answer.
func cutWithin(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id":"ch_`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// charge is the JSON of one; what later versions of the API may add is ignored.
func charge(id string, status ChargeStatus) string {
	return `{"id":"` + id + `","object":"charge","environment":"sandbox","status":"` + string(cmp.Or(status, ChargePending)) + `",
		"amount_msat":21000,"amount_paid_msat":0,"description":null,"bolt11":"lnbcrt210n1","payment_hash":"00","metadata":{"a":"b"},
		"external_id":null,"created_at":"2026-01-31T12:00:00.123456Z","expires_at":"2026-01-31T13:00:00Z","paid_at":null,"warnings":[],
		"of_the_future":{"x":[1]}}`
}
