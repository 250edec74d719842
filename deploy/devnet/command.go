package devnet

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// Command is `lntpay dev` with its subcommands.
func Command() *cobra.Command {
	var o Options
	dev := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole stack on this machine",
		Long: "Run the whole stack on this machine: Postgres, Temporal and its UI, btcd on regtest, two lnd nodes\n" +
			"with channels, the API and the worker. Whatever dies is started again; Ctrl-C stops everything.\n" +
			"The first run builds Temporal, lnd and btcd from source, which takes minutes once.",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			o.Out = cmd.OutOrStdout()
			if o.StateDir == "" {
				var err error
				if o.StateDir, err = defaultState(); err != nil {
					return err
				}
			}

			return Run(ctx, o)
		},
	}
	dev.PersistentFlags().StringVar(&o.StateDir, "state-dir", "", "where the stack keeps its state (default .lntpay in the repository)")
	dev.Flags().IntVar(&o.PortBase, "port-base", DefaultPortBase, "first of the stack's ports")
	dev.Flags().StringVar(&o.DatabaseURL, "database-url", "",
		"a running Postgres to use instead of starting one: a DSN of a role that may create roles and databases")
	dev.Flags().BoolVar(&o.InfraOnly, "infra-only", false, "leave api and worker out")
	dev.Flags().BoolVar(&o.OneProcess, "one-process", false, "run api and worker as one process, lntpay serve")
	dev.AddCommand(toolsCommand(), payCommand(&o), invoiceCommand(&o), mineCommand(&o), listenCommand(&o), regtestCommand())

	return dev
}

// untilSignal ends with the first Ctrl-C or SIGTERM; a second one kills us,
// and the kernel then kills what we started. A hang-up counts unless nohup
// asked to ignore it.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	context.AfterFunc(ctx, func() { signal.Reset(signals...) })

	return ctx, stop
}

// defaultState is .lntpay in the repository's root, or here outside of one.
func defaultState() (string, error) {
	root, err := tools.RepositoryRoot("")
	if errors.Is(err, tools.ErrNoRepository) {
		return DefaultStateDir, nil
	}

	return filepath.Join(root, DefaultStateDir), err
}
