package regtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// startTimeout bounds the start of a network. Building the tools from an
// empty cache is not part of it.
const startTimeout = 3 * time.Minute

// settleHeight is the height at which segwit and taproot are active and
// enough coinbases are mature.
const settleHeight = 450

// Options say what network to start. The zero value is the usual one.
type Options struct {
	// NativeSQL runs the merchant on SQLite with native SQL tables, which
	// changes the order of the invoice backlog. Otherwise it is bbolt.
	NativeSQL bool
	// Channels between payer and merchant; 2 when 0.
	Channels int
	// ChannelSats is the capacity of each, half on each side; 10,000,000
	// when 0.
	ChannelSats int64
	// Shop adds a node that only the payer has a channel with.
	Shop bool
	// Log is told what happens; the standard output when nil.
	Log func(format string, args ...any)
}

func (o Options) withDefaults() Options {
	if o.Channels == 0 {
		o.Channels = 2
	}
	if o.ChannelSats == 0 {
		o.ChannelSats = 10_000_000
	}
	if o.Log == nil {
		o.Log = func(format string, args ...any) { fmt.Printf("regtest: "+format+"\n", args...) }
	}

	return o
}

// Net is a running network.
type Net struct {
	// Merchant is LNTPay's node, Payer everybody else's.
	Merchant, Payer *Lnd
	// Shop is a node to which the merchant pays over the payer, who takes a fee;
	// nil unless Options ask for it.
	Shop *Lnd

	options Options
	dir     string
	host    host
	chain   *btcd
}

// Start runs a network for one test and ends it after. It skips the test in
// -short mode. Prefer Shared.
func Start(t testing.TB, options Options) *Net {
	t.Helper()
	if testing.Short() {
		t.Skip("regtest: needs a Lightning network, which -short leaves out")
	}
	options.Log = t.Logf
	net, err := Open(t.Context(), options)
	if err != nil {
		t.Fatalf("regtest: %v", err)
	}
	t.Cleanup(func() {
		if err := net.Close(); err != nil {
			t.Errorf("regtest: %v", err)
		}
	})

	return net
}

// Open runs a network. Whoever opens it closes it.
func Open(ctx context.Context, options Options) (*Net, error) {
	options = options.withDefaults()
	binaries, err := binaries(ctx, options.Log)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lntpay-regtest-")
	if err != nil {
		return nil, err
	}
	net := &Net{options: options, dir: dir}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	began := time.Now()
	if err := net.start(ctx, binaries); err != nil {
		return nil, errors.Join(err, net.Close())
	}
	options.Log("network ready after %s", time.Since(began).Round(100*time.Millisecond))

	return net, nil
}

// binaries are the pinned btcd and lnd.
func binaries(ctx context.Context, log func(string, ...any)) (map[string]string, error) {
	if dir := os.Getenv("LNTPAY_TOOLS_DIR"); dir != "" {
		return map[string]string{"btcd": filepath.Join(dir, "btcd"), "lnd": filepath.Join(dir, "lnd")}, nil
	}
	built, err := tools.Build(ctx, func(line string) { log("%s", line) }, tools.Btcd, tools.Lnd)
	if err != nil {
		return nil, fmt.Errorf("build the pinned btcd and lnd: %w", err)
	}

	return map[string]string{"btcd": built[tools.Btcd], "lnd": built[tools.Lnd]}, nil
}

// start brings everything up.
func (n *Net) start(ctx context.Context, binaries map[string]string) error {
	if err := n.chooseHost(ctx, binaries); err != nil {
		return err
	}
	var err error
	if n.chain, err = newBtcd(n.host, binaries["btcd"]); err != nil {
		return err
	}
	// Blocks pay the payer's wallet, whose address exists only once it runs.
	if err := n.chain.run(ctx, n.host, ""); err != nil {
		return err
	}
	if n.Payer, err = runLnd(ctx, n.host, binaries["lnd"], "payer", n.dir, n.chain); err != nil {
		return err
	}
	address, err := n.Payer.Lightning.NewAddress(ctx, &lnrpc.NewAddressRequest{})
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if err := n.chain.remove(ctx); err != nil {
		return err
	}
	if err := n.chain.run(ctx, n.host, address.Address); err != nil {
		return err
	}
	if err := n.Mine(ctx, settleHeight); err != nil {
		return err
	}
	// Not beside the mining: a wallet that hears of new blocks while it reads
	// the first ones may miss one and is never synced ("failed to store sync
	// information").
	if err := n.startOthers(ctx, binaries["lnd"]); err != nil {
		return err
	}

	return n.openChannels(ctx)
}

// startOthers starts the nodes beside the payer, beside each other.
func (n *Net) startOthers(ctx context.Context, lnd string) error {
	var group errgroup.Group
	group.Go(func() (err error) {
		n.Merchant, err = runLnd(ctx, n.host, lnd, "merchant", n.dir, n.chain, n.merchantArgs()...)

		return err
	})
	if n.options.Shop {
		group.Go(func() (err error) {
			n.Shop, err = runLnd(ctx, n.host, lnd, "shop", n.dir, n.chain)

			return err
		})
	}

	return group.Wait()
}

// nodes are all that run.
func (n *Net) nodes() (all []*Lnd) {
	for _, node := range []*Lnd{n.Merchant, n.Payer, n.Shop} {
		if node != nil {
			all = append(all, node)
		}
	}

	return all
}

// merchantArgs are the merchant's own settings.
func (n *Net) merchantArgs() []string {
	if !n.options.NativeSQL {
		return nil
	}

	return []string{"--db.backend=sqlite", "--db.use-native-sql"}
}

// chooseHost prefers containers.
func (n *Net) chooseHost(ctx context.Context, binaries map[string]string) error {
	way := os.Getenv("LNTPAY_REGTEST")
	if way != "processes" {
		inContainers, err := newContainers(ctx, n.dir, binaries)
		if err == nil {
			n.host = inContainers

			return report("in containers")
		}
		if way == "docker" {
			return fmt.Errorf("docker: %w", err)
		}
		n.options.Log("no Docker daemon answers (%v)", err)
	}
	n.options.Log("btcd and lnd run as local processes, not in containers")
	n.host = &processes{dir: filepath.Join(n.dir, "run")}

	return report("as local processes")
}

// EnvReport names a file that says in which way each network ran, and what a
// test could not prove; go test swallows the log of tests that pass.
const EnvReport = "LNTPAY_REGTEST_REPORT"

// NotProven begins the line of what a test passed without having proved.
const NotProven = "not proven: "

// ReportNotProven says so where a run that passes shows it.
func ReportNotProven(what string) error { return report(NotProven + what) }

func report(way string) error {
	path := os.Getenv(EnvReport)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("report the way: %w", err)
	}
	_, err = fmt.Fprintln(file, way)

	return errors.Join(err, file.Close())
}

// Close ends everything and removes its data.
func (n *Net) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var failed []error
	for _, node := range n.nodes() {
		if node.conn != nil {
			failed = append(failed, node.conn.Close())
		}
	}
	if n.host != nil {
		failed = append(failed, n.host.close(ctx))
	}

	return errors.Join(append(failed, os.RemoveAll(n.dir))...)
}
