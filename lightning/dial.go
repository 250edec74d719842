package lightning

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/lightninglabs/lndclient"
)

// lndclient gives no access to grpc.DialOption (lnd_services.go,
// getClientConn), so gRPC keepalive cannot be switched on; its Dialer can be
// replaced. The kernel's keepalive and user timeout end a connection whose
// peer's host is gone, idle or not, so that gRPC dials again. A peer whose
// kernel still answers for a stopped process is caught by the watchdog of
// SubscribeSettled, which asks lnd itself.
const (
	dialTimeout       = 5 * time.Second
	keepaliveIdle     = 15 * time.Second
	keepaliveInterval = 5 * time.Second
	keepaliveCount    = 3
	// tcpUserTimeout is how long sent data may stay unacknowledged.
	tcpUserTimeout = 20 * time.Second
)

// dialer is lndclient's Dialer with a kernel that notices dead peers. onDial
// is called before each connection, gRPC's own new ones too.
func dialer(onDial func()) lndclient.DialerFunc {
	d := &net.Dialer{
		Timeout: dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepaliveIdle, Interval: keepaliveInterval, Count: keepaliveCount,
		},
		Control: func(_, _ string, conn syscall.RawConn) error {
			return setUserTimeout(conn, tcpUserTimeout)
		},
	}

	return func(ctx context.Context, address string) (net.Conn, error) {
		onDial()
		if path, ok := strings.CutPrefix(address, "unix://"); ok {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", path)
		}

		return d.DialContext(ctx, "tcp", address)
	}
}
