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
}

func main() {
	only := flag.String("only", "", "one part: create, naive, settle, lifecycle, withdraw, streams or ledger (default: all)")
	seconds := flag.Duration("for", 10*time.Second, "length of each load")
	stateDir := flag.String("state-dir", "", "the stack's state folder (default: found from here)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *stateDir, *only, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stateDir, only string, seconds time.Duration) error {
	dev, err := devnet.FindRunning(stateDir)
	if err != nil {
		return err
	}
	b := &bench{dev: dev, key: dev.APIKeys.Sandbox, seconds: seconds}
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
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"create", b.create}, {"naive", b.naive}, {"settle", b.settle}, {"lifecycle", b.lifecycle}, {"withdraw", b.withdraw},
		{"streams", b.streams}, {"ledger", b.ledger},
	} {
		if only != "" && only != part.name {
			continue
		}
		if err := errors.Join(part.run(ctx), ctx.Err()); err != nil {
			return err
		}
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
