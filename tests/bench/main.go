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
	seconds := flag.Duration("for", 10*time.Second, "length of each load")
	stateDir := flag.String("state-dir", "", "the stack's state folder (default: found from here)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *stateDir, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stateDir string, seconds time.Duration) error {
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
	fmt.Printf("%s, %d processors, %s, each load %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), seconds)
	for _, part := range []func(context.Context) error{b.create, b.settle, b.ledger} {
		if err := errors.Join(part(ctx), ctx.Err()); err != nil {
			return err
		}
	}

	return nil
}
