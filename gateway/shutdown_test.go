package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// counting streams numbers until it is told to end.
func counting(end <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "begun")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-end:
			fmt.Fprintln(w, "done")
		case <-r.Context().Done():
		}
	}
}

func TestAShutdownLetsStreamsEnd(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", auth: off}]`, upstream(t, counting(end))))
	response, err := http.Get(r.url)
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "begun\n", line)
	r.stop()
	operator := running{t: t, url: r.operator}
	require.Eventually(t, func() bool { return operator.get("/readyz").status == http.StatusServiceUnavailable }, eventually, tick)
	close(end)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Equal(t, "done\n", string(rest))
	require.NoError(t, <-r.ended)
	r.ended <- nil
}

func TestAShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
limits: {shutdown_timeout_ms: 100}
services:
  - {name: shop, path: /stream, upstream: "%s", auth: off}
  - {name: sockets, upstream: "%s", auth: off}
`, upstream(t, counting(nil)), upstream(t, shout)))
	response, err := http.Get(r.url + "/stream")
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	_, err = lines.ReadString('\n')
	require.NoError(t, err)
	_, from, upgraded := r.upgrade("Bearer x")
	require.Equal(t, http.StatusSwitchingProtocols, upgraded.StatusCode)
	r.stop()
	require.NoError(t, <-r.ended)
	r.ended <- nil
	_, err = io.ReadAll(lines)
	require.Error(t, err)
	_, err = from.ReadByte()
	require.Error(t, err)
}
