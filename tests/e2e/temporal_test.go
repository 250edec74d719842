package e2e_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/client"
)

const (
	// noticedWithin is 15 s (frontend.keepAliveTime and keepAliveTimeout in
	// temporal_dynamic.yaml) and time for a busy machine; by Temporal's own
	// settings it would be 70 s.
	noticedWithin = 45 * time.Second
	// dialWithin bounds the relay's connection to Temporal.
	dialWithin = 30 * time.Second
)

// A worker whose network is gone holds its polls, and with them the tasks that
// Temporal gives to them, until Temporal finds its connection dead.
func TestWorkerWhoseNetworkIsGoneIsNoticed(t *testing.T) {
	t.Parallel()
	s := open(t)
	network := relay(t, s.Config.Sandbox.Temporal.Address)
	worker, err := sdk.DialContext(t.Context(), sdk.Options{HostPort: network.address, Namespace: s.Config.Sandbox.Temporal.Namespace})
	require.NoError(t, err)
	defer worker.Close()
	// What answers is heard for as long as it is there.
	_, err = worker.CheckHealth(t.Context(), nil)
	require.NoError(t, err)
	select {
	case <-network.ended:
		t.Fatal("Temporal closed the connection of a worker that answers")
	case <-time.After(noticedWithin / 2):
	}

	network.gone.Store(true)
	began := time.Now()
	select {
	case <-network.ended:
		t.Logf("noticed after %v", time.Since(began))
	case <-time.After(noticedWithin):
		t.Fatal("Temporal keeps the connection of a worker whose network is gone")
	}
}

// cuttable is a network between one client and Temporal.
type cuttable struct {
	address string
	// gone makes it lose what either says; both connections stay open.
	gone atomic.Bool
	// ended is closed when Temporal has closed the connection.
	ended chan struct{}
}

// relay carries one connection to address, until the test is over.
func relay(t *testing.T, address string) *cuttable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	network := &cuttable{address: listener.Addr().String(), ended: make(chan struct{})}
	server, err := net.DialTimeout("tcp", address, dialWithin)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer near.Close()
			defer close(network.ended)
			_, _ = io.Copy(lossy{near, &network.gone}, server)
		}()
		_, _ = io.Copy(lossy{server, &network.gone}, near)
	}()

	return network
}

// lossy writes to the far side while the network is there. When it is not, what
// comes is taken all the same, so that nobody learns of it by a full buffer.
type lossy struct {
	io.Writer
	gone *atomic.Bool
}

// Write implements io.Writer.
func (l lossy) Write(p []byte) (int, error) {
	if l.gone.Load() {
		return len(p), nil
	}

	return l.Writer.Write(p)
}
