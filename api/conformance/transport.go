package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Transport sends requests and reports every exchange that does not conform.
type Transport struct {
	// Base sends; http.DefaultTransport if nil.
	Base http.RoundTripper
	// Report is called with each mismatch, possibly by several at once.
	Report func(error)
}

// Client is an http.Client whose every exchange must conform, or t fails.
func Client(t testing.TB) *http.Client {
	t.Helper()
	base := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // Documented to be one.
	t.Cleanup(base.CloseIdleConnections)

	return &http.Client{Transport: &Transport{Base: base, Report: func(err error) { t.Error(err) }}}
}

// RoundTrip sends one request. The answer is read whole, so it is not for
// streams.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	var sent []byte
	if request.Body != nil {
		var err error
		if sent, err = io.ReadAll(request.Body); err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
		_ = request.Body.Close()
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(sent))
	}
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	response, err := base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read response body: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err := Validate(request, sent, response, body); err != nil {
		t.Report(err)
	}

	return response, nil
}
