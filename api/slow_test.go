package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

// listening runs the bench's server on real addresses, as a process does.
func listening(t *testing.T, change ...func(*api.Options)) *bench {
	t.Helper()
	port, err := freeport.Take(2)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	b := setup(t, append(change, func(o *api.Options) {
		o.Config.Listen, o.Config.OperatorListen = address, fmt.Sprintf("127.0.0.1:%d", port+1)
	})...)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	b.url = "http://" + address
	require.Eventually(t, func() bool {
		answer, err := b.try(http.MethodGet, "/v1/charges", "")

		return err == nil && answer.status == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)

	return b
}

// dial opens a connection to the server that the test ends at its deadline.
func (b *bench) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))

	return conn
}

// TestSlowClients: who sends or reads too slowly, or too much of a header, is
// cut off in its time, and others are served meanwhile.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	b := listening(t)
	head := "POST /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b.key + "\r\n"
	for name, slow := range map[string]struct {
		send   string
		answer string
		within time.Duration
	}{
		"headers":        {head, "", 10 * time.Second},
		"body":           {head + "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{", "400", 25 * time.Second},
		"nothing at all": {"", "", 10 * time.Second},
		"a large header": {head + "X-Large: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "431", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := b.dial(t)
			began := time.Now()
			_, err := io.WriteString(conn, slow.send)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, b.get("/v1/charges").status)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if slow.answer == "" {
				require.ErrorIs(t, err, io.EOF)
			} else {
				require.Contains(t, line, slow.answer)
			}
			_, _ = io.Copy(io.Discard, conn)
			require.Less(t, time.Since(began), slow.within)
			require.Equal(t, http.StatusOK, b.get("/v1/charges").status)
		})
	}
}

// TestConnectionsAreBounded: past api.max_connections a connection waits for
// another to end.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	b := listening(t, func(o *api.Options) { o.Config.MaxConnections = 3 })
	// The bench keeps one of them.
	held := []net.Conn{b.dial(t), b.dial(t)}
	answered := make(chan int, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get(b.url + "/openapi.json")
		if err != nil {
			answered <- 0

			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	select {
	case status := <-answered:
		t.Fatal("a third connection was served", status)
	case <-time.After(500 * time.Millisecond):
	}
	// It waits, and is served when another ends.
	require.NoError(t, held[0].Close())
	require.Equal(t, http.StatusOK, <-answered)
}

// TestStreamThatIsNotRead: a client that reads nothing loses its stream.
func TestStreamThatIsNotRead(t *testing.T) {
	t.Parallel()
	b := listening(t)
	b.happen(t, 1)
	ids, _ := b.list(b.get("/v1/events"))
	// Some megabytes: more than the buffers of both ends hold.
	metadata := strings.Repeat("x", 500)
	var pairs []string
	for i := range 50 {
		pairs = append(pairs, fmt.Sprintf(`"k%d":%q`, i, metadata))
	}
	body := `{"amount_sats":1,"metadata":{` + strings.Join(pairs, ",") + `}}`
	for range 200 {
		b.object(b.post("/v1/charges/"+b.charge(body)+"/cancel", ""), http.StatusOK)
	}
	conn := b.dial(t)
	_, err := fmt.Fprintf(conn, "GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nLast-Event-ID: %s\r\n\r\n", b.key, ids[0])
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.metric(t, "lntpay_http_event_streams") == "1" }, 5*time.Second, 5*time.Millisecond)
	require.Equal(t, http.StatusOK, b.get("/v1/charges").status)
	require.Eventually(t, func() bool { return b.metric(t, "lntpay_http_event_streams") == "0" }, 25*time.Second, 50*time.Millisecond)
}
