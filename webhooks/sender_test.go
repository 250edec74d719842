package webhooks_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/lntpay/lntpay/webhooks"
)

const shortTimeout = 300 * time.Millisecond

func request(url string) webhooks.Request {
	return webhooks.Request{
		EndpointID: "we_1", URL: url, EventID: "evt_1", Body: []byte(`{"id":"evt_1"}`),
		Secrets: webhooks.Secrets{Current: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
	}
}

// newSender makes a Sender that keeps nothing beyond the test.
func newSender(t *testing.T, p webhooks.Policy, o webhooks.Options) *webhooks.Sender {
	t.Helper()
	s := webhooks.NewSender(p, o)
	t.Cleanup(s.Close)

	return s
}

// send makes one attempt at a server that answers by handler.
func send(t *testing.T, handler http.HandlerFunc) webhooks.Result {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{Timeout: shortTimeout})
	result, err := s.Send(t.Context(), request(server.URL))
	require.NoError(t, err)
	require.NotContains(t, result.Err, "127.0.0.1", "no internal detail")
	require.Less(t, result.Duration, 10*shortTimeout)
	require.False(t, result.At.IsZero())

	return result
}

func TestSendRequest(t *testing.T) {
	t.Parallel()
	result := send(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"id":"evt_1"}` || r.Method != http.MethodPost ||
			r.UserAgent() != "LNTPay-Webhooks/1" || r.Header.Get("Content-Type") != "application/json" ||
			len(r.Header.Get("x-lntpay-signature")) != 64 || r.Close || r.Header["Idempotency-Key"] != nil {
			w.WriteHeader(http.StatusTeapot)
		}
		wh, err := standard.NewWebhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		if err != nil || wh.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte("thanks"))
	})
	require.True(t, result.OK(), result.Err)
	require.Equal(t, http.StatusOK, result.StatusCode)
	require.Equal(t, "thanks", string(result.Response))
}

func TestSendAnswers(t *testing.T) {
	t.Parallel()
	hijack := func(answer string, reset bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer))
			if tcp, ok := conn.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
		}
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	tests := map[string]struct {
		handler    http.HandlerFunc
		status     int
		err        string
		retryAfter time.Duration
	}{
		"204":                   {status(204), 204, "", 0},
		"500":                   {status(500), 500, "answered 500 Internal Server Error", 0},
		"599":                   {status(599), 599, "answered 599;", 0},
		"gone":                  {status(410), 410, "answered 410 Gone", 0},
		"redirect":              {status(302, "Location", "http://127.0.0.1:1/"), 302, "redirects are not followed", 0},
		"permanent redirect":    {status(308, "Location", "https://example.com/"), 308, "redirects are not followed", 0},
		"redirect to metadata":  {status(307, "Location", "http://169.254.169.254/latest/meta-data/"), 307, "redirects are not followed", 0},
		"redirect to nowhere":   {status(301), 301, "redirects are not followed", 0},
		"retry-after":           {status(429, "Retry-After", "120"), 429, "answered 429", 2 * time.Minute},
		"retry-after far":       {status(503, "Retry-After", "99999999999999999999"), 503, "answered 503", 24 * time.Hour},
		"retry-after negative":  {status(503, "Retry-After", "-5"), 503, "answered 503", 0},
		"retry-after rubbish":   {status(503, "Retry-After", "soon"), 503, "answered 503", 0},
		"retry-after past date": {status(503, "Retry-After", "Fri, 01 Jan 2021 00:00:00 GMT"), 503, "answered 503", 0},
		"retry-after far date":  {status(503, "Retry-After", "Fri, 01 Jan 2199 00:00:00 GMT"), 503, "answered 503", 24 * time.Hour},
		"silence":               {slow(0), 0, "no answer within 300ms", 0},
		"slow body":             {slow(200), 200, "did not finish its answer within 300ms", 0},
		"slow failure":          {slow(500), 500, "answered 500", 0},
		"reset":                 {hijack("", true), 0, "the connection was", 0},
		"closed":                {hijack("", false), 0, "the connection was closed", 0},
		"cut short":             {hijack("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false), 200, "the connection broke", 0},
		"not http":              {hijack("SSH-2.0-OpenSSH\r\n\r\n", false), 0, "not valid HTTP", 0},
		"huge header":           {hijack("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("a", 100<<10)+"\r\n\r\n", false), 0, "not valid HTTP", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := send(t, tt.handler)
			require.Equal(t, tt.status, result.StatusCode)
			require.Equal(t, tt.err == "", result.OK(), result.Err)
			require.Contains(t, result.Err, tt.err)
			require.Equal(t, tt.retryAfter, result.RetryAfter)
			require.Equal(t, tt.status == 410, result.Gone())
		})
	}
}

// slow answers with status (none when 0) and then only dribbles.
func slow(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if status != 0 {
			w.WriteHeader(status)
		}
		for r.Context().Err() == nil {
			if status != 0 {
				_, _ = w.Write([]byte("."))
				_ = http.NewResponseController(w).Flush()
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestSendRetryAfterDate(t *testing.T) {
	t.Parallel()
	result := send(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	require.InDelta(t, time.Hour.Seconds(), result.RetryAfter.Seconds(), 5)
}

func TestSendHugeBody(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	result := send(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := w.Write([]byte(strings.Repeat("x", 1<<10)))
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	require.True(t, result.OK(), result.Err)
	require.Len(t, result.Response, 2<<10)
}

func TestSendRedirectNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(target.Close)
	result := send(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	})
	require.Equal(t, http.StatusTemporaryRedirect, result.StatusCode)
	require.Zero(t, hits.Load())
}

func TestSendTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	otherName := strings.Replace(server.URL, "127.0.0.1", "other.example.org", 1)
	tests := map[string]struct {
		url  string
		pool *x509.CertPool
		err  string
	}{
		"good":              {server.URL, known, ""},
		"unknown authority": {server.URL, x509.NewCertPool(), "signed by an unknown authority"},
		"other host":        {otherName, known, "not for this host name"},
		"no TLS":            {strings.Replace(plain.URL, "http:", "https:", 1), known, "does not speak TLS"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dns := &fakeDNS{answers: [][4]byte{{127, 0, 0, 1}}}
			s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{
				RootCAs: tt.pool, Resolver: &net.Resolver{PreferGo: true, Dial: dns.dial},
			})
			result, err := s.Send(t.Context(), request(tt.url))
			require.NoError(t, err)
			require.Equal(t, tt.err == "", result.OK(), result.Err)
			require.Contains(t, result.Err, tt.err)
		})
	}
}

func TestSendRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{})
	result, err := s.Send(t.Context(), request("http://"+listener.Addr().String()))
	require.NoError(t, err)
	require.Equal(t, "the connection was refused", result.Err)
}

func TestSendChecksPolicyAgain(t *testing.T) {
	t.Parallel()
	s := newSender(t, webhooks.Policy{}, webhooks.Options{})
	result, err := s.Send(t.Context(), request("http://127.0.0.1/"))
	require.NoError(t, err)
	require.Contains(t, result.Err, webhooks.ErrURLNotAllowed.Error())
}

func TestSendCallerGone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(slow(0))
	t.Cleanup(server.Close)
	s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), shortTimeout)
	defer cancel()
	_, err := s.Send(ctx, request(server.URL))
	require.ErrorIs(t, err, context.DeadlineExceeded, "not the receiver's fault")
}

func TestSendBadSecret(t *testing.T) {
	t.Parallel()
	r := request("https://example.com/")
	r.Secrets.Current = "hunter2"
	_, err := newSender(t, webhooks.Policy{}, webhooks.Options{}).Send(t.Context(), r)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, fmt.Sprint(r.LogValue()), "hunter2")
}

// TestSendRebinding gives a public address to whoever checks the name first
// and a closed one to the dialler.
func TestSendRebinding(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	tests := map[string]struct {
		policy webhooks.Policy
		url    string
		answer [4]byte
		err    string
	}{
		"loopback":               {webhooks.Policy{}, "http://rebind.example.com/", [4]byte{127, 0, 0, 1}, webhooks.ErrURLNotAllowed.Error()},
		"metadata":               {webhooks.Policy{}, "http://rebind.example.com/", [4]byte{169, 254, 169, 254}, webhooks.ErrURLNotAllowed.Error()},
		"private, in production": {webhooks.Policy{Production: true}, "https://rebind.example.com/", [4]byte{10, 0, 0, 1}, webhooks.ErrURLNotAllowed.Error()},
		"metadata, though private is open": {
			webhooks.Policy{AllowPrivate: true}, "http://rebind.example.com/", [4]byte{169, 254, 169, 254}, webhooks.ErrURLNotAllowed.Error(),
		},
		"loopback is open": {webhooks.Policy{AllowPrivate: true}, "http://rebind.example.com:" + port, [4]byte{127, 0, 0, 1}, ""},
		"no such name":     {webhooks.Policy{}, "http://rebind.example.com/", [4]byte{}, "the host name does not exist"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := hits.Load()
			require.NoError(t, webhooks.CheckURL(tt.url, tt.policy))
			dns := &fakeDNS{answers: [][4]byte{{93, 184, 215, 14}, tt.answer}}
			resolver := &net.Resolver{PreferGo: true, Dial: dns.dial}
			first, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.com.")
			require.NoError(t, err)
			require.Equal(t, "93.184.215.14", first[0].String())

			result, err := newSender(t, tt.policy, webhooks.Options{Resolver: resolver}).Send(t.Context(), request(tt.url))
			require.NoError(t, err)
			require.Equal(t, tt.err == "", result.OK(), result.Err)
			require.Contains(t, result.Err, tt.err)
			require.NotRegexp(t, `[0-9]\.[0-9]`, result.Err, "no address")
			require.Equal(t, tt.err == "", hits.Load() > before)
		})
	}
}

// fakeDNS answers the n-th A question with answers[n], later ones with the last;
// 0.0.0.0 stands for NXDOMAIN. Other questions get no records.
type fakeDNS struct {
	answers [][4]byte
	asked   atomic.Int32
}

func (d *fakeDNS) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer func() { _ = theirs.Close() }()
		// net.Pipe is no PacketConn: the resolver speaks DNS over TCP to it.
		head := make([]byte, 2)
		if _, err := io.ReadFull(theirs, head); err != nil {
			return
		}
		query := make([]byte, int(head[0])<<8|int(head[1]))
		if _, err := io.ReadFull(theirs, query); err != nil {
			return
		}
		answer := d.answer(query)
		_, _ = theirs.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...))
	}()

	return ours, nil
}

func (d *fakeDNS) answer(query []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil
	}
	// An empty answer of a server that does not recurse would be a referral.
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	if q.Type == dnsmessage.TypeA {
		a := d.answers[min(int(d.asked.Add(1)), len(d.answers))-1]
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
			Body:   &dnsmessage.AResource{A: a},
		}}
	}
	if d.answers[len(d.answers)-1] == [4]byte{} && int(d.asked.Load()) != 1 {
		m.Answers, m.RCode = nil, dnsmessage.RCodeNameError
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}

	return packed
}
