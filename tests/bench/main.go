// Command bench measures the running development stack and prints a table in
// Markdown. Every figure stands beside the node's own in the same run, because
// the machines that this runs on are shared and noisy: read ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"

	"log/slog"
)

// bench is a run against a running stack.
type bench struct {
	dev      *devnet.DevJSON
	key      string
	store    *store.Store
	temporal client.Client
	seconds  time.Duration
	sizes    sizes
}

// sizes are how much the parts that take minutes plant or open.
type sizes struct {
	open, closed, burst, storm int
	// keep leaves their databases behind.
	keep bool
}

func main() {
	only := flag.String("only", "", "one part: create, naive, settle, lifecycle, withdraw, streams or ledger (default: these), or trace, growth, expiries or storm")
	seconds := flag.Duration("for", 10*time.Second, "length of each load")
	stateDir := flag.String("state-dir", "", "the stack's state folder (default: found from here)")
	var of sizes
	flag.IntVar(&of.open, "open", 100_000, "open charges of growth")
	flag.IntVar(&of.closed, "closed", 1_000_000, "closed charges of growth")
	flag.IntVar(&of.burst, "burst", 10_000, "charges that expire at once, of expiries")
	flag.IntVar(&of.storm, "storm", 20_000, "charges that are open when the worker is killed, of storm")
	flag.BoolVar(&of.keep, "keep", false, "leave the databases of trace, growth, expiries and storm behind, to look at their plans")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *stateDir, *only, *seconds, of); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stateDir, only string, seconds time.Duration, of sizes) error {
	dev, err := devnet.FindRunning(stateDir)
	if err != nil {
		return err
	}
	b := &bench{dev: dev, key: dev.APIKeys.Sandbox, seconds: seconds, sizes: of}
	if b.store, err = store.Open(ctx, payments.Sandbox, dev.DatabaseURL, 20); err != nil {
		return err
	}
	defer b.store.Close()
	if b.temporal, err = workflows.Dial(dev.TemporalAddress, dev.TemporalNamespace, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	defer b.temporal.Close()
	fmt.Printf("%s, %d processors, %s, each load %s, %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(),
		seconds, processes(dev))

	return b.parts(ctx, only)
}

// parts runs the one that is asked for, or those that take seconds each.
func (b *bench) parts(ctx context.Context, only string) error {
	known := false
	for _, part := range []struct {
		name  string
		run   func(context.Context) error
		asked bool // Only when it is asked for: it takes minutes.
	}{
		{"create", b.create, false}, {"naive", b.naive, false}, {"settle", b.settle, false}, {"lifecycle", b.lifecycle, false},
		{"withdraw", b.withdraw, false}, {"streams", b.streams, false}, {"ledger", b.ledger, false},
		{"trace", b.trace, true}, {"growth", b.growth, true}, {"expiries", b.expiries, true}, {"storm", b.storm, true},
	} {
		if only != part.name && (only != "" || part.asked) {
			continue
		}
		known = true
		if err := errors.Join(part.run(ctx), ctx.Err()); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("-only %s: there is no such part", only)
	}

	return nil
}

// processes says how the product runs: most figures differ.
func processes(dev *devnet.DevJSON) string {
	if _, one := dev.Processes["serve"]; one {
		return "lntpay serve"
	}

	return "api and worker apart"
}
