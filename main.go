// Command lntpay is the whole product in one binary: the API, the worker, the
// operator's commands, those of people who use the API, and the development
// stack.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/cli"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/deploy/devnet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		cli.Report(os.Stderr, err)
		os.Exit(exitCode(err))
	}
}

// settings reads the configuration of whichever command runs.
type settings struct{ file string }

// load reads the settings. Where none are given and the command runs inside a
// repository whose development stack is up, they are that stack's.
func (s *settings) load() (*config.Config, error) {
	if s.file == "" && !config.Given() {
		if err := devnet.AdoptEnvironment(); err != nil {
			return nil, err
		}
	}

	return config.Load(s.file)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "lntpay",
		Short:         "Charge sats per API request: a self-hosted Lightning payment backend",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	s := &settings{}
	root.PersistentFlags().StringVar(&s.file, "config", "", "YAML file with the settings (default $"+config.EnvFile+")")
	root.AddCommand(
		serveCommand(s, "api", "Serve the HTTP API", parts{api: true}),
		serveCommand(s, "worker", "Run workflows and activities", parts{worker: true}),
		serveCommand(s, "serve", "API and worker in one process", parts{api: true, worker: true}),
		migrateCommand(s), workspaceCommand(s), keyCommand(s), opsCommand(s), gatewayCommand(s), healthcheckCommand(s),
		macaroonsCommand(), checkCommand(s), devnet.Command(),
	)
	root.AddCommand(cli.Commands(devnet.Target)...)

	return root
}
