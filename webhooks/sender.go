package webhooks

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/lntpay/lntpay/telemetry"
)

const (
	// DefaultTimeout bounds a whole attempt, the reading of the answer
	// included.
	DefaultTimeout = 15 * time.Second

	userAgent = "LNTPay-Webhooks/1"
	// maxRead is all that is read of an answer, its headers apart.
	maxRead = 64 << 10
	// maxKept is the part of an answer that is stored.
	maxKept = 2 << 10
)

// Request is one delivery attempt.
type Request struct {
	// EndpointID says whose connections may be used again; without one, none.
	EndpointID string
	URL        string
	EventID    string
	// Body holds the exact stored bytes of the event.
	Body    []byte
	Secrets Secrets
}

// LogValue keeps the secrets out of logs.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.EventID) }

// Result is what a delivery attempt came to.
type Result struct {
	// At is when the attempt began.
	At       time.Time
	Duration time.Duration
	// StatusCode is 0 when no answer came.
	StatusCode int
	// Response is the beginning of the answer's body.
	Response []byte
	// RetryAfter is the wait that the receiver asked for, at most 24 h.
	RetryAfter time.Duration
	// Err says for a developer why the attempt failed; empty on success.
	Err string
}

// OK reports whether the receiver took the event.
func (r Result) OK() bool { return r.Err == "" }

// errNotTaken is how a trace tells a failed attempt; why is in the delivery.
var errNotTaken = errors.New("webhooks: not taken")

func (r Result) failure() error {
	if r.OK() {
		return nil
	}

	return errNotTaken
}

// Gone reports whether the receiver wants no more deliveries.
func (r Result) Gone() bool { return r.StatusCode == http.StatusGone }

// Options change what tests and operators may change in a Sender.
type Options struct {
	// Timeout bounds an attempt; DefaultTimeout when 0.
	Timeout time.Duration
	// Resolver looks names up; the system's when nil.
	Resolver *net.Resolver
	// RootCAs verify the receivers' certificates; the system's when nil.
	RootCAs *x509.CertPool
}

// Sender makes delivery attempts. It is safe for concurrent use.
type Sender struct {
	policy  Policy
	timeout time.Duration
	clients *clients
}

// NewSender makes a Sender. Whoever makes it closes it.
func NewSender(p Policy, o Options) *Sender {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}

	return &Sender{policy: p, timeout: o.Timeout, clients: newClients(p, o)}
}

// Close ends the connections that are kept for further attempts. An attempt
// that still runs goes on.
func (s *Sender) Close() { s.clients.close() }

// control judges the address that is really dialled, after name resolution and
// right before connect(2): a name that resolves otherwise than a moment ago
// (DNS rebinding) gains nothing.
func (p Policy) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !addressAllowed(to.Addr(), p.private()) {
		return refuse("its host does not resolve to an address on the public internet")
	}

	return checkPort(fmt.Sprint(to.Port()), p)
}

// Send makes one attempt. A failure of the receiver is in the Result; the error
// is for what says nothing about the receiver: ctx ended, or the secrets cannot
// sign.
func (s *Sender) Send(ctx context.Context, r Request) (Result, error) {
	began := time.Now()
	result := Result{At: began}
	headers, err := Headers(r.Secrets, r.EventID, began, r.Body)
	if err != nil {
		return result, err
	}
	// Judged again: the policy may be stricter than when the endpoint was made.
	if err := CheckURL(r.URL, s.policy); err != nil {
		result.Err = err.Error()

		return result, nil
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// Neither the URL, whose path may hold a token, nor an address; and no
	// traceparent goes out: receivers have the event's id.
	limited, end := telemetry.Step(limited, "webhook POST", attribute.String("lntpay.event_id", r.EventID),
		attribute.String("lntpay.endpoint_id", r.EndpointID))
	s.post(limited, r, headers, &result)
	result.Duration = time.Since(began)
	end(result.failure())
	if ctx.Err() != nil && !result.OK() {
		return result, fmt.Errorf("delivery attempt cut short: %w", context.Cause(ctx))
	}

	return result, nil
}

func (s *Sender) post(ctx context.Context, r Request, headers http.Header, result *Result) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		result.Err = "the request could not be made"

		return
	}
	req.Header = headers
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	// Not sent, but tells net/http to repeat the request if a kept connection
	// turns out to be closed: a delivery may come twice.
	req.Header["Idempotency-Key"] = []string{}
	req.Close = r.EndpointID == ""
	client := s.clients.of(r)
	resp, err := client.Do(req)
	if err != nil {
		result.Err = s.describe(err)
		// A kept connection may have died without a word. The next attempt
		// must not find another one like it.
		client.CloseIdleConnections()

		return
	}
	// An answer that is not read to its end takes its connection with it.
	defer func() { _ = resp.Body.Close() }()
	result.StatusCode = resp.StatusCode
	result.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRead))
	result.Response = bytes.Clone(body[:min(len(body), maxKept)])
	result.Err = s.judge(resp.StatusCode, err)
}

// judge says what is wrong with an answer. One that ends too early is wrong
// whatever its status: its sender may have died while it handled the event,
// and a delivery too many does less harm than one too few.
func (s *Sender) judge(status int, readErr error) string {
	switch {
	case status >= 300 && status < 400:
		return fmt.Sprintf("the endpoint answered %s; redirects are not followed", statusText(status))
	case status < 200 || status >= 300:
		return fmt.Sprintf("the endpoint answered %s; only 2xx is a success", statusText(status))
	case readErr == nil:
		return ""
	case timedOut(readErr):
		return fmt.Sprintf("the endpoint answered %s but did not finish its answer within %v", statusText(status), s.timeout)
	default:
		return fmt.Sprintf("the endpoint answered %s but the connection broke before its answer ended", statusText(status))
	}
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}

	return fmt.Sprint(status)
}

func timedOut(err error) bool {
	var netErr net.Error

	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}
