package devnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/deploy/devnet/internal/flock"
	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// Options say which stack is run.
type Options struct {
	// StateDir holds everything it keeps.
	StateDir string
	// PortBase is the first of its ports.
	PortBase int
	// DatabaseURL is a Postgres that somebody else runs, by the DSN of a role
	// that may create roles and databases. Empty runs one of our own.
	DatabaseURL string
	// InfraOnly leaves the product out: no migration, api and worker.
	InfraOnly bool
	// OneProcess runs api and worker as one process.
	OneProcess bool
	// Program runs api and worker; a copy of ourselves when empty.
	Program string
	// Out takes progress and the banner.
	Out io.Writer
}

// Run runs a stack until ctx ends, and then stops it in order.
func Run(ctx context.Context, o Options) error {
	s, err := newStack(o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			s.say("stopping")

			return nil
		}

		return err
	}
	s.banner()
	s.keepHouse(ctx)
	s.say("stopping")

	return nil
}

// stack is a running stack.
type stack struct {
	o       Options
	state   state
	lock    *flock.Lock
	ports   Ports
	secrets secrets
	tools   map[tools.Name]string
	db      database
	chain   *Btcd
	began   time.Time

	merchant, payer *Lnd

	mu        sync.Mutex
	processes map[string]*Process
	json      DevJSON
	// live says that the stack was ready once; dev.json exists from then on.
	live bool
}

// newStack takes the state folder, alone, and looks at the ports.
func newStack(o Options) (*stack, error) {
	if o.PortBase < 1 || o.PortBase+PortCount > 65536 {
		return nil, fmt.Errorf("--port-base %d: choose a port from 1 to %d", o.PortBase, 65536-PortCount)
	}
	opened, err := openState(o.StateDir)
	if err != nil {
		return nil, err
	}
	s := &stack{
		o: o, state: opened, ports: PortsFrom(o.PortBase), began: time.Now(),
		processes: map[string]*Process{}, json: DevJSON{Processes: map[string]int{}},
	}
	if s.lock, err = lockState(opened); err != nil {
		return nil, err
	}
	// What was killed leaves a dev.json, and perhaps processes that are about
	// to end: their ports get a moment to become free.
	deadline := time.Now()
	if isRegular(opened.path("dev.json")) {
		deadline = deadline.Add(3 * time.Second)
	}
	for {
		err = checkPorts(s.ports.uses(o.DatabaseURL == ""))
		if err == nil || time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err == nil {
		err = removeIfThere(opened.path("dev.json"))
	}
	if err == nil {
		s.secrets, err = opened.secrets()
	}
	if err != nil {
		_ = s.lock.Release()

		return nil, err
	}

	return s, nil
}

// lockState makes sure that one stack runs in a state folder. Commands that
// look whether a stack runs hold the lock for an instant.
func lockState(opened state) (*flock.Lock, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	path := opened.path("lock")
	held, err := flock.Wait(ctx, path, nil)
	if errors.Is(err, context.DeadlineExceeded) {
		holder, _ := os.ReadFile(path)

		return nil, fmt.Errorf("a development stack already runs in %s (process %s): use it, stop it with Ctrl-C, "+
			"or run another one with --state-dir and --port-base", opened.dir, strings.TrimSpace(string(holder)))
	}
	if err != nil {
		return nil, err
	}

	return held, held.Write(strconv.Itoa(os.Getpid()) + "\n")
}

// The phases of a start that others wait for.
type gates struct{ database, temporal, nodes, product chan struct{} }

// start brings everything up, in parallel where nothing depends on it.
func (s *stack) start(ctx context.Context) error {
	s.say("starting a stack in %s", s.state.dir)
	var err error
	if s.tools, err = tools.Build(ctx, func(line string) { s.say("%s", line) }); err != nil {
		return err
	}
	s.began = time.Now()
	opened := gates{
		database: make(chan struct{}), temporal: make(chan struct{}),
		nodes: make(chan struct{}), product: make(chan struct{}),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return then(opened.database, s.startDatabase(ctx)) })
	group.Go(func() error { return s.startNetwork(ctx, opened.nodes) })
	group.Go(func() error {
		if err := wait(ctx, opened.database); err != nil {
			return err
		}

		return then(opened.temporal, s.startTemporal(ctx))
	})
	if !s.o.InfraOnly {
		group.Go(func() error {
			if err := wait(ctx, opened.database, s.pubkeyKnown(opened.nodes)); err != nil {
				return err
			}

			return then(opened.product, s.prepareProduct(ctx))
		})
		group.Go(func() error {
			if err := wait(ctx, opened.temporal, opened.nodes, opened.product); err != nil {
				return err
			}

			return s.startProduct(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}

	return s.goLive()
}

// then opens a gate if what leads to it succeeded.
func then(gate chan struct{}, err error) error {
	if err == nil {
		close(gate)
	}

	return err
}

// wait waits until gates are open.
func wait(ctx context.Context, gates ...<-chan struct{}) error {
	for _, gate := range gates {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}

// startDatabase brings up Postgres, if it is ours, and what it must hold.
func (s *stack) startDatabase(ctx context.Context) error {
	s.db = database{admin: s.o.DatabaseURL}
	if s.o.DatabaseURL == "" {
		options := PostgresOptions{
			Dir: s.state.dir, Port: s.ports.Postgres, Password: s.secrets.Postgres, Log: s.state.log("postgres"),
		}
		spec, err := postgresSpec(ctx, options)
		if err != nil {
			return err
		}
		if err := s.launch(ctx, spec); err != nil {
			return err
		}
		s.db = database{admin: options.dsn(), ours: true}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()

	return s.db.prepare(ctx, s.secrets.Roles)
}

// startTemporal brings up the server, and its UI without waiting for it.
func (s *stack) startTemporal(ctx context.Context) error {
	dsn, err := s.db.dsn(temporalRole, s.secrets.Roles[temporalRole], "postgres")
	if err != nil {
		return err
	}
	spec, err := temporalSpec(ctx, TemporalOptions{
		Dir: s.state.path("temporal"), DSN: dsn, Ports: s.ports.Temporal, Log: s.state.log("temporal"), Tools: s.tools,
	})
	if err != nil {
		return err
	}
	if err := s.launch(ctx, spec); err != nil {
		return err
	}
	spec, err = temporalUISpec(s.state.path("temporal_ui"), s.state.log("temporal_ui"), s.tools,
		address(s.ports.Temporal.Frontend), s.ports.TemporalUI, sandboxNamespace)
	if err != nil {
		return err
	}
	_, err = s.begin(spec)

	return err
}

// startNetwork brings up the chain, the two nodes and their channels. The
// gate opens when the nodes answer.
func (s *stack) startNetwork(ctx context.Context, nodes chan struct{}) error {
	chain, spec, err := btcdSpec(BtcdOptions{
		Dir: s.state.path("btcd"), Ports: s.ports.Btcd, Password: s.secrets.Btcd, Log: s.state.log("btcd"), Tools: s.tools,
	})
	if err != nil {
		return err
	}
	s.chain = chain
	if chain.process, err = s.begin(spec); err != nil {
		return err
	}
	if err := s.waitReady(ctx, chain.process); err != nil {
		return err
	}
	group, nodeCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.merchant, err = s.startNode(nodeCtx, "merchant", s.ports.Merchant)

		return err
	})
	group.Go(func() (err error) {
		s.payer, err = s.startNode(nodeCtx, "payer", s.ports.Payer)

		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := writeFile(s.state.path("merchant.pubkey"), []byte(s.merchant.Pubkey)); err != nil {
		return err
	}
	if err := s.bakeMacaroons(ctx); err != nil {
		return err
	}
	close(nodes)
	began := time.Now()
	if err := Fund(ctx, chain, s.merchant); err != nil {
		return err
	}
	if err := OpenChannels(ctx, chain, s.merchant, s.payer, channelCount, channelSats); err != nil {
		return err
	}
	s.took("channels", began)

	return nil
}

// startNode brings up one lnd.
func (s *stack) startNode(ctx context.Context, name string, ports LndPorts) (*Lnd, error) {
	node, spec, err := lndSpec(LndOptions{
		Name: name, Dir: s.state.path("lnd_" + name), Ports: ports, Chain: s.chain,
		Log: s.state.log("lnd_" + name), Tools: s.tools,
	})
	if err != nil {
		return nil, err
	}
	if err := s.launch(ctx, spec); err != nil {
		return nil, err
	}

	return node, node.identify(ctx)
}

// launch starts a process and waits until it is ready.
func (s *stack) launch(ctx context.Context, spec Spec) error {
	process, err := s.begin(spec)
	if err != nil {
		return err
	}

	return s.waitReady(ctx, process)
}

func (s *stack) waitReady(ctx context.Context, process *Process) error {
	began := time.Now()
	if err := process.WaitReady(ctx); err != nil {
		return err
	}
	s.took(process.spec.Name, began)

	return nil
}

// begin starts a process that the stack keeps running.
func (s *stack) begin(spec Spec) (*Process, error) {
	if err := rotateLog(spec.Log); err != nil {
		return nil, err
	}
	spec.Changed = func(pid int, why error) { s.changed(spec.Name, pid, why) }
	process := launch(spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes[spec.Name] = process

	return process, nil
}

// changed notes the process id of a program that was started or restarted.
func (s *stack) changed(name string, pid int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.json.Processes[name] = pid
	if !s.live {
		return
	}
	s.say("%s ended (%v) and was started again as process %d; its log is %s", name, why, pid, s.state.log(name))
	if err := writeJSON(s.state.path("dev.json"), s.json); err != nil {
		s.say("%v", err)
	}
}

// stopOrder is the reverse of what depends on what; each row stops at once.
var stopOrder = [][]string{
	{"worker", "api"}, {"lnd_merchant", "lnd_payer", "temporal_ui", "temporal"}, {"btcd", "postgres"},
}

// close stops everything and gives the state folder back.
func (s *stack) close() {
	s.mu.Lock()
	s.live = false
	s.mu.Unlock()
	for _, row := range stopOrder {
		var stopping sync.WaitGroup
		for _, name := range row {
			if process := s.processes[name]; process != nil {
				stopping.Go(process.Stop)
			}
		}
		stopping.Wait()
	}
	_ = removeIfThere(s.state.path("dev.json"))
	_ = s.lock.Release()
}

// keepHouse does what a stack needs while it runs, until ctx ends: a block
// now and then, since lnd calls a chain whose newest block is two hours old
// unsynced, and a limit on the logs.
func (s *stack) keepHouse(ctx context.Context) {
	block, logs := time.NewTicker(10*time.Minute), time.NewTicker(time.Minute)
	defer block.Stop()
	defer logs.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-block.C:
			if _, err := s.chain.Mine(ctx, 1); err != nil && ctx.Err() == nil {
				s.say("%v", err)
			}
		case <-logs.C:
			s.boundLogs()
		}
	}
}

// boundLogs empties logs that grew too long. Programs append to them, so they
// go on at the new end.
func (s *stack) boundLogs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.processes {
		if info, err := os.Stat(s.state.log(name)); err == nil && info.Size() > longestLog {
			_ = os.Truncate(s.state.log(name), 0)
		}
	}
}
