package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/check"
	"github.com/lntpay/lntpay/config"
)

// checkCommand says what is wrong, all at once.
func checkCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check [api|worker|serve]", Short: "Say what is wrong with settings, files, Postgres, Temporal and the node",
		Long: "Say what is wrong with settings, files, Postgres, Temporal and the node, all at once and one line each.\n" +
			"Nothing is changed. Without an argument both kinds of process are checked. The exit code is 1 after an error.",
		Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"api", "worker", "serve"},
		RunE: func(cmd *cobra.Command, args []string) error {
			parts := check.Parts{API: true, Worker: true}
			if len(args) == 1 {
				parts = check.Parts{API: args[0] != "worker", Worker: args[0] != "api"}
			}
			cfg, err := s.load()
			report := check.All(cmd.Context(), cfg, err, parts)
			if asJSON {
				if err := report.PrintJSON(cmd.OutOrStdout()); err != nil {
					return err
				}
			} else {
				report.Print(cmd.OutOrStdout())
			}
			if !report.OK {
				return fmt.Errorf("%d errors", report.Count(check.Error))
			}

			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")

	return cmd
}

// checkStart refuses a start that cannot end well, and warns of what is not as
// it should be. It asks nobody: a node or a database that is away is waited for.
func checkStart(ctx context.Context, cfg *config.Config, p parts, log *slog.Logger) error {
	report := check.Static(cfg, check.Parts{API: p.api, Worker: p.worker})
	if !report.OK {
		return &check.RefusalError{Report: report}
	}
	for _, line := range report.Lines {
		if line.Level == check.Warning {
			log.WarnContext(ctx, line.Text, "setting", line.Subject)
		}
	}

	return nil
}
