package webhooks_test

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

// host is a receiver that knows over which connection each event came.
type host struct {
	*httptest.Server
	sender *webhooks.Sender

	mu sync.Mutex
	// events are the ids of the events that each connection brought.
	events         map[string][]string
	opened, closed int
}

// newHost serves a host, over TLS or not, and makes a sender that trusts it.
func newHost(t *testing.T, secure bool, handler http.HandlerFunc) *host {
	t.Helper()
	h := &host{events: map[string][]string{}}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.events[r.RemoteAddr] = append(h.events[r.RemoteAddr], r.Header.Get("webhook-id"))
		h.mu.Unlock()
		handler(w, r)
	}))
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch state {
		case http.StateNew:
			h.opened++
		case http.StateClosed:
			h.closed++
		}
	}
	options := webhooks.Options{Timeout: 5 * time.Second}
	if secure {
		h.StartTLS()
		options.RootCAs = x509.NewCertPool()
		options.RootCAs.AddCert(h.Certificate())
	} else {
		h.Start()
	}
	t.Cleanup(h.Close)
	h.sender = newSender(t, webhooks.Policy{AllowPrivate: true}, options)

	return h
}

// deliver makes an attempt at an endpoint on the host. The event bears the
// endpoint's name.
func (h *host) deliver(t *testing.T, endpoint, path string) webhooks.Result {
	t.Helper()
	r := request(h.URL + path)
	r.EndpointID, r.EventID = endpoint, endpoint
	result, err := h.sender.Send(t.Context(), r)
	if err != nil {
		t.Error(err)
	}

	return result
}

// connections is how many connections brought events, none of them those of
// two endpoints.
func (h *host) connections(t *testing.T) int {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, events := range h.events {
		for _, id := range events {
			require.Equal(t, events[0], id, "two endpoints share a connection")
		}
	}

	return len(h.events)
}

func (h *host) counts() (opened, closed int) {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.opened, h.closed
}

// requireOpen waits until so many connections are open.
func (h *host) requireOpen(t *testing.T, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		opened, closed := h.counts()

		return opened-closed == want
	}, 5*time.Second, 5*time.Millisecond)
}

func answer(status, length int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if length > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(length))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(strings.Repeat("x", length)))
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	type attempt struct{ endpoint, path string }
	again := []attempt{{"we_1", "/"}, {"we_1", "/"}, {"we_1", "/"}}
	tests := map[string]struct {
		handler     http.HandlerFunc
		attempts    []attempt
		connections int
	}{
		"one endpoint":          {answer(200, 2), again, 1},
		"no body":               {answer(204, 0), again, 1},
		"one that fails":        {answer(500, 2), again, 1},
		"one that redirects":    {answer(302, 0), again, 1},
		"the longest answer":    {answer(200, 64<<10), again, 1},
		"a longer answer":       {answer(200, 64<<10+1), again, 3},
		"two on the same host":  {answer(200, 2), []attempt{{"we_1", "/"}, {"we_2", "/"}, {"we_1", "/"}, {"we_2", "/"}}, 2},
		"the URL changes":       {answer(200, 2), []attempt{{"we_1", "/a"}, {"we_1", "/b"}, {"we_1", "/b"}}, 2},
		"nobody's":              {answer(200, 2), []attempt{{"", "/"}, {"", "/"}}, 2},
		"the receiver wants it": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, again, 3},
	}
	for name, tt := range tests {
		for scheme, secure := range map[string]bool{"http": false, "https": true} {
			t.Run(name+", "+scheme, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, secure, tt.handler)
				for _, a := range tt.attempts {
					h.deliver(t, a.endpoint, a.path)
				}
				require.Equal(t, tt.connections, h.connections(t))
			})
		}
	}
}

// TestConnectionsAtOnce has many attempts at two endpoints on one host, some of
// which find no kept connection.
func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, true, answer(200, 100))
	for range 5 {
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				if r := h.deliver(t, fmt.Sprintf("we_%d", i%2), "/"); !r.OK() {
					t.Error(r.Err)
				}
			})
		}
		group.Wait()
	}
	require.Less(t, h.connections(t), 100, "some are used again")
	h.requireOpen(t, 4) // Two of each endpoint.
}

// TestConnectionsAreBounded lets the endpoint that was longest unused make way.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 512
	h := newHost(t, false, answer(200, 2))
	for i := range most {
		h.deliver(t, fmt.Sprintf("we_%d", i), "/")
	}
	h.deliver(t, "we_0", "/")
	require.Equal(t, most, h.connections(t))
	h.requireOpen(t, most)
	h.deliver(t, "we_new", "/")
	h.requireOpen(t, most)
	h.deliver(t, "we_0", "/")
	require.Equal(t, most+1, h.connections(t), "it was kept")

	h.sender.Close()
	h.requireOpen(t, 0)
}

// fickle is a receiver of raw connections: it answers the first event on each,
// and does as it likes with the rest, of the connections that are spoilt.
func fickle(t *testing.T, spoilt int, then func(net.Conn, *bufio.Reader)) (url string, bodies func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var mu sync.Mutex
	var got []string
	take := func(r *bufio.Reader) error {
		request, err := http.ReadRequest(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(request.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(body))

		return err
	}
	// All spoilt connections are there before one of them is answered.
	var there sync.WaitGroup
	there.Add(spoilt)
	serve := func(conn net.Conn, n int) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		for i := 0; take(r) == nil; i++ {
			if n < spoilt && i == 0 {
				there.Done()
				there.Wait()
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			if n < spoilt {
				then(conn, r)

				return
			}
		}
	}
	go func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, n)
		}
	}()

	return "http://" + listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()

		return append([]string(nil), got...)
	}
}

// TestKeptConnectionIsClosed: what became of a kept connection meanwhile is not
// the attempt's fault.
func TestKeptConnectionIsClosed(t *testing.T) {
	t.Parallel()
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	tests := map[string]struct {
		then func(conn net.Conn, r *bufio.Reader)
		// pause is how long after the first attempt the second one is made.
		pause time.Duration
	}{
		"closed long ago":            {func(net.Conn, *bufio.Reader) {}, 100 * time.Millisecond},
		"closed a moment ago":        {func(net.Conn, *bufio.Reader) {}, 0},
		"reset long ago":             {func(c net.Conn, _ *bufio.Reader) { reset(c) }, 100 * time.Millisecond},
		"reset a moment ago":         {func(c net.Conn, _ *bufio.Reader) { reset(c) }, 0},
		"closed as the request came": {func(_ net.Conn, r *bufio.Reader) { _, _ = r.Peek(1) }, 0},
		"closed with the request read": {func(_ net.Conn, r *bufio.Reader) {
			if request, err := http.ReadRequest(r); err == nil {
				_, _ = io.Copy(io.Discard, request.Body)
			}
		}, 0},
		"reset as the request came": {func(c net.Conn, r *bufio.Reader) {
			_, _ = r.Peek(1)
			reset(c)
		}, 0},
	}
	for name, tt := range tests {
		for _, kept := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d kept", name, kept), func(t *testing.T) {
				t.Parallel()
				url, bodies := fickle(t, kept, tt.then)
				s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{Timeout: 5 * time.Second})
				attempts := func(n int) {
					var group sync.WaitGroup
					for range n {
						group.Go(func() {
							result, err := s.Send(t.Context(), request(url))
							if err != nil || !result.OK() {
								t.Error(err, result.Err)
							}
						})
					}
					group.Wait()
				}
				attempts(kept)
				time.Sleep(tt.pause)
				attempts(1)
				require.Len(t, bodies(), kept+1)
				for _, body := range bodies() {
					require.JSONEq(t, `{"id":"evt_1"}`, body)
				}
			})
		}
	}
}

// TestKeptConnectionIsDead: one that swallows the request costs an attempt, but
// only one, whatever else is kept.
func TestKeptConnectionIsDead(t *testing.T) {
	t.Parallel()
	url, _ := fickle(t, 2, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{Timeout: shortTimeout})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if _, err := s.Send(t.Context(), request(url)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	result, err := s.Send(t.Context(), request(url))
	require.NoError(t, err)
	require.Equal(t, "no answer within 300ms", result.Err)
	result, err = s.Send(t.Context(), request(url))
	require.NoError(t, err)
	require.True(t, result.OK(), result.Err)
}

// TestSendNoConnection dials a port whose queue of connections is full, so that
// the system answers nothing at all.
func TestSendNoConnection(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("other systems refuse when the queue is full")
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 3 { // One is held in the queue, the handshake of another one not completed.
		conn, err := net.DialTimeout("tcp", address, 50*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	s := newSender(t, webhooks.Policy{AllowPrivate: true}, webhooks.Options{Timeout: shortTimeout})
	result, err := s.Send(t.Context(), request("http://"+address))
	require.NoError(t, err)
	require.Equal(t, "no connection within 200ms", result.Err)
	require.Zero(t, result.StatusCode)
}
