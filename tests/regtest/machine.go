package regtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

// place is where a program runs, known before it starts, since programs name
// each other in their arguments.
type place struct {
	name string
	// dir is the data folder as the program sees it.
	dir string
	// host is what the other programs call it, bind where it listens.
	host, bind string
	// ports are by name; the same number inside and on this host's loopback,
	// so that an address survives a restart.
	ports map[string]int
}

// peerAddress is how another program reaches a port.
func (p place) peerAddress(port string) string {
	return net.JoinHostPort(p.host, fmt.Sprint(p.ports[port]))
}

// bindAddress is where the program listens.
func (p place) bindAddress(port string) string {
	return net.JoinHostPort(p.bind, fmt.Sprint(p.ports[port]))
}

// localAddress is how a test reaches a port.
func (p place) localAddress(port string) string {
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(p.ports[port]))
}

// program is what runs at a place: a tool's binary, its arguments, and files
// that must be in the data folder before it starts.
type program struct {
	tool  string
	args  []string
	files map[string][]byte
}

// machine is a running program.
type machine interface {
	// stop ends it in order and waits; its data stays.
	stop(ctx context.Context) error
	// kill ends it at once, as a crash does; its data stays.
	kill(ctx context.Context) error
	// start runs it again with the same data, arguments and ports.
	start(ctx context.Context) error
	// pause freezes it: its connections stay open and silent.
	pause(ctx context.Context) error
	// resume ends a pause.
	resume(ctx context.Context) error
	// alive is errGone when the program has exited.
	alive(ctx context.Context) error
	// read gives a file of its data folder.
	read(ctx context.Context, path string) ([]byte, error)
	// tail gives the end of its output.
	tail(ctx context.Context) string
	// remove ends it and drops its data; a second time does nothing.
	remove(ctx context.Context) error
}

// host runs programs: in containers or as processes.
type host interface {
	place(name string, ports ...string) (place, error)
	run(ctx context.Context, at place, what program) (machine, error)
	// close removes every machine, also one whose start failed.
	close(ctx context.Context) error
}

// roster is a host's list of what it has started.
type roster struct {
	mu       sync.Mutex
	machines []machine
}

func (r *roster) add(m machine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machines = append(r.machines, m)
}

// remove removes them all, the last one first.
func (r *roster) remove(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var failed []error
	for _, m := range slices.Backward(r.machines) {
		failed = append(failed, m.remove(ctx))
	}
	r.machines = nil

	return errors.Join(failed...)
}

// freePorts gives each name a port that stays the program's, also while it is
// stopped.
func freePorts(names []string) (map[string]int, error) {
	first, err := freeport.Take(len(names))
	if err != nil {
		return nil, err
	}
	ports := make(map[string]int, len(names))
	for i, name := range names {
		ports[name] = first + i
	}

	return ports, nil
}
