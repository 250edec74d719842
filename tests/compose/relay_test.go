package compose_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/compose"
)

// relay passes on what comes from the workers' network to what listens at a URL
// on the loopback interface, and gives the URL that leads there.
func relay(t testing.TB, p *compose.Project, at string) string {
	t.Helper()
	to, err := url.Parse(at)
	require.NoError(t, err)
	gateway, err := p.Gateway(t.Context())
	require.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort(gateway, "0"))
	require.NoError(t, err)
	r := &relaying{to: to.Host, open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = listener.Close()
		r.close()
	})
	go r.serve(listener)
	to.Host = listener.Addr().String()

	return to.String()
}

// relaying is one relay.
type relaying struct {
	to string

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func (r *relaying) serve(listener net.Listener) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		go r.pass(from)
	}
}

// pass passes on both ways until either side ends.
func (r *relaying) pass(from net.Conn) {
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = from.Close()

		return
	}
	if !r.keep(from, to) {
		return
	}
	defer r.drop(from, to)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// keep remembers connections, or closes them where it is over.
func (r *relaying) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		if r.closed {
			_ = conn.Close()
		} else {
			r.open[conn] = true
		}
	}

	return !r.closed
}

func (r *relaying) drop(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(r.open, conn)
	}
}

func (r *relaying) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for conn := range r.open {
		_ = conn.Close()
	}
}
