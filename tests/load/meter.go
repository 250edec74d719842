package load

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lntpay/lntpay/api/conformance"
)

// Meter notes how each request of a load ended, and holds the API's answers
// against api/openapi.yaml.
type Meter struct {
	base *http.Transport

	mu   sync.Mutex
	seen []exchange
	// wrong are answers that are not as the document says.
	wrong []error
}

// exchange is one request: what it was, when it began and ended, and "" or how
// it failed: cause without what differs from one request to the next.
type exchange struct {
	what          string
	from, to      time.Time
	failed, cause string
}

// NewMeter makes one; it is the transport of clients.
func NewMeter(t *testing.T) *Meter {
	t.Helper()
	m := &Meter{base: http.DefaultTransport.(*http.Transport).Clone()}
	m.base.MaxIdleConnsPerHost = 16
	t.Cleanup(m.base.CloseIdleConnections)

	return m
}

// RoundTrip implements http.RoundTripper. A failure is no answer, or one of the
// 5xx.
func (m *Meter) RoundTrip(request *http.Request) (*http.Response, error) {
	var sent []byte
	if request.Body != nil {
		sent, _ = io.ReadAll(request.Body)
		_ = request.Body.Close()
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(sent))
	}
	from := time.Now()
	response, body, err := m.exchange(request)
	one, wrong := exchange{what: what(request), from: from, to: time.Now()}, error(nil)
	switch {
	case err != nil:
		one.failed = fmt.Sprintf("%s %s: %v", request.Method, request.URL.Path, err)
		one.cause = one.what + ": " + unanswered(err)
	case response.StatusCode >= http.StatusInternalServerError:
		one.failed = fmt.Sprintf("%s %s: %d %s", request.Method, request.URL.Path, response.StatusCode, body)
		one.cause = fmt.Sprintf("%s: %d", one.what, response.StatusCode)
	default:
		// Not of a failure: it may be the proxy's.
		wrong = conformance.Validate(request, sent, response, body)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The end of the load ends what is under way.
	if err == nil || request.Context().Err() == nil || time.Since(from) > time.Second {
		m.seen = append(m.seen, one)
	}
	if wrong != nil {
		m.wrong = append(m.wrong, wrong)
	}

	return response, err
}

// exchange reads the answer whole.
func (m *Meter) exchange(request *http.Request) (*http.Response, []byte, error) {
	response, err := m.base.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))

	return response, body, nil
}

// what is a request without the ids in it.
func what(request *http.Request) string {
	parts := strings.Split(request.URL.Path, "/")
	for i, part := range parts {
		if _, random, found := strings.Cut(part, "_"); found && len(random) == 26 {
			parts[i] = "…"
		}
	}

	return request.Method + " " + strings.Join(parts, "/")
}

// unanswered is why no answer came, without addresses.
func unanswered(err error) string {
	for _, known := range []string{"connection refused", "connection reset", "EOF", "deadline exceeded", "Client.Timeout", "canceled"} {
		if strings.Contains(err.Error(), known) {
			return "no answer, " + known
		}
	}

	return "no answer, " + err.Error()
}

// Wrong are the answers that openapi.yaml does not describe.
func (m *Meter) Wrong() []error {
	m.mu.Lock()
	defer m.mu.Unlock()

	return slices.Clone(m.wrong)
}

// Created is how long after a moment the first charge was made by a request that
// began after it; false if there was none yet.
func (m *Meter) Created(since time.Time) (after time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.seen {
		if one.failed == "" && one.what == "POST /v1/charges" && one.from.After(since) {
			return one.to.Sub(since), true
		}
	}

	return 0, false
}

// Figures are of the requests that ended since a moment.
type Figures struct {
	Requests int
	Failed   []string
	// Causes counts the failures of one kind.
	Causes map[string]int
	// Gap is the longest time in which none succeeded.
	Gap time.Duration
	// Slowest is the longest that a request took that succeeded.
	Slowest time.Duration
}

// Since sums up.
func (m *Meter) Since(began time.Time) Figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, last := Figures{Causes: map[string]int{}}, began
	for _, one := range m.seen {
		if one.to.Before(began) {
			continue
		}
		f.Requests++
		if one.failed != "" {
			f.Failed = append(f.Failed, fmt.Sprintf("after %s, for %s: %s", one.from.Sub(began).Round(time.Millisecond),
				one.to.Sub(one.from).Round(time.Millisecond), one.failed))
			f.Causes[one.cause]++

			continue
		}
		f.Gap = max(f.Gap, one.to.Sub(last))
		f.Slowest = max(f.Slowest, one.to.Sub(one.from))
		last = one.to
	}
	f.Gap = max(f.Gap, time.Since(last))

	return f
}

func (f Figures) String() string {
	text := []string{fmt.Sprintf("%d requests, %d failed, the longest time without a success %s, the slowest success %s", f.Requests,
		len(f.Failed), f.Gap.Round(time.Millisecond), f.Slowest.Round(time.Millisecond))}
	for _, cause := range slices.Sorted(maps.Keys(f.Causes)) {
		text = append(text, fmt.Sprintf("%d × %s", f.Causes[cause], cause))
	}

	return strings.Join(text, "; ")
}
