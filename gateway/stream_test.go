package gateway_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// zeros is a body of so many bytes that nobody holds in memory.
func zeros(size int64) io.Reader { return io.LimitReader(zero{}, size) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)

	return len(p), nil
}

// Not parallel: it looks at the memory of the process.
func TestLargeBodiesPassInLittleMemory(t *testing.T) {
	const size = 100 << 20
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", auth: off}]`,
		upstream(t, func(w http.ResponseWriter, r *http.Request) {
			hash := sha256.New()
			n, err := io.Copy(hash, r.Body)
			if err != nil || n != size {
				http.Error(w, fmt.Sprint(n, err), http.StatusBadRequest)

				return
			}
			_, _ = io.Copy(w, zeros(size))
		})))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	response, err := http.Post(r.url, "application/octet-stream", zeros(size))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	n, err := io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}

func TestEventsArriveOneByOne(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5}]`,
		upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				<-next
			}
		})))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", r.buy(http.MethodGet, "/", 5000))
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("data: %d\n", i), line)
		_, err = lines.ReadString('\n')
		require.NoError(t, err)
		next <- struct{}{} // The upstream goes on only when the event was read.
	}
	_, err = lines.ReadString('\n')
	require.ErrorIs(t, err, io.EOF)
}

// A request's body goes up piece by piece, too.
func TestUploadsArriveOneByOne(t *testing.T) {
	t.Parallel()
	got := make(chan string)
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", auth: off}]`,
		upstream(t, func(_ http.ResponseWriter, r *http.Request) {
			lines := bufio.NewScanner(r.Body)
			for lines.Scan() {
				got <- lines.Text()
			}
		})))
	reader, writer := io.Pipe()
	done := make(chan reply, 1)
	go func() { done <- r.do(http.MethodPost, "/", reader) }()
	for _, line := range []string{"one", "two"} {
		_, err := io.WriteString(writer, line+"\n")
		require.NoError(t, err)
		require.Equal(t, line, <-got)
	}
	require.NoError(t, writer.Close())
	require.Equal(t, 200, (<-done).status)
}

// shout is an upstream that switches protocols, and answers each line in
// capitals.
func shout(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "no upgrade", http.StatusBadRequest)

		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(rw, strings.ToUpper(line))
		_ = rw.Flush()
	}
}

// upgrade opens a WebSocket by hand.
func (r *running) upgrade(token string) (net.Conn, *bufio.Reader, *http.Response) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: %s\r\n\r\n", token)
	from := bufio.NewReader(conn)
	response, err := http.ReadResponse(from, nil)
	require.NoError(r.t, err)
	defer response.Body.Close()

	return conn, from, response
}

func TestWebSocketsPass(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5, once: true}]`, upstream(t, shout)))
	token := r.buy(http.MethodGet, "/", 5000)
	conn, from, response := r.upgrade(token)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("X-Request-Id"))
	require.NotEmpty(t, response.Header.Get("Payment-Receipt"))
	for range 3 {
		fmt.Fprintln(conn, "hello")
		line, err := from.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HELLO\n", line)
	}
	require.NoError(t, conn.Close())
	r.requireOutcomes("shop", map[string]int{"challenged": 1, "admitted": 1})
	_, _, response = r.upgrade(token)
	require.Equal(t, http.StatusPaymentRequired, response.StatusCode, "the token opened one connection")
}
