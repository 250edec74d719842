package gateway_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// In HTTP/2 a client says how much it takes. One that takes nothing must not keep
// what has been answered for ever, hundreds of times on each connection.
func TestAnAnswerThatIsNotTakenEnds(t *testing.T) {
	t.Parallel()
	r := start(t, `{limits: {header_timeout_ms: 100}, services: [{name: a, path: /a, upstream: "http://u", price_sats: 1}]}`)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(eventually)))
	_, err = conn.Write([]byte(http2.ClientPreface))
	require.NoError(t, err)
	framer := http2.NewFramer(conn, conn)
	require.NoError(t, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	const first = 1
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/none"}} {
		require.NoError(t, encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: first, BlockFragment: header.Bytes(), EndStream: true, EndHeaders: true,
	}))
	for {
		frame, err := framer.ReadFrame()
		require.NoError(t, err)
		if _, ok := frame.(*http2.RSTStreamFrame); ok {
			require.EqualValues(t, first, frame.Header().StreamID)

			return
		}
	}
}
