package compose_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lntpay/lntpay/api/conformance"
)

// meter notes how each request of a load ended, and holds the API's answers
// against api/openapi.yaml.
type meter struct {
	base *http.Transport

	mu   sync.Mutex
	seen []exchange
	// wrong are answers that are not as the document says.
	wrong []error
}

// exchange is one request: when it began and ended, and "" or how it failed.
type exchange struct {
	from, to time.Time
	failed   string
}

func newMeter(t *testing.T) *meter {
	t.Helper()
	m := &meter{base: http.DefaultTransport.(*http.Transport).Clone()}
	m.base.MaxIdleConnsPerHost = 16
	t.Cleanup(m.base.CloseIdleConnections)

	return m
}

// RoundTrip implements http.RoundTripper. A failure is no answer, or one of the
// 5xx.
func (m *meter) RoundTrip(request *http.Request) (*http.Response, error) {
	var sent []byte
	if request.Body != nil {
		sent, _ = io.ReadAll(request.Body)
		_ = request.Body.Close()
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(sent))
	}
	from := time.Now()
	response, body, err := m.exchange(request)
	one, wrong := exchange{from: from, to: time.Now()}, error(nil)
	switch {
	case err != nil:
		one.failed = fmt.Sprintf("%s %s: %v", request.Method, request.URL.Path, err)
	case response.StatusCode >= http.StatusInternalServerError:
		one.failed = fmt.Sprintf("%s %s: %d %s", request.Method, request.URL.Path, response.StatusCode, body)
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
func (m *meter) exchange(request *http.Request) (*http.Response, []byte, error) {
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

// figures are of the requests that ended since a moment.
type figures struct {
	requests int
	failed   []string
	// gap is the longest time in which none succeeded.
	gap time.Duration
}

func (m *meter) since(began time.Time) (f figures) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := began
	for _, one := range m.seen {
		if one.to.Before(began) {
			continue
		}
		f.requests++
		if one.failed != "" {
			f.failed = append(f.failed, fmt.Sprintf("after %s, for %s: %s", one.from.Sub(began).Round(time.Millisecond),
				one.to.Sub(one.from).Round(time.Millisecond), one.failed))

			continue
		}
		f.gap = max(f.gap, one.to.Sub(last))
		last = one.to
	}
	f.gap = max(f.gap, time.Since(last))

	return f
}

func (f figures) String() string {
	return fmt.Sprintf("%d requests, %d failed, the longest time without a success %s", f.requests, len(f.failed),
		f.gap.Round(time.Millisecond))
}
