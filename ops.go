package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// opsCommand gives the operator's commands their environment.
func opsCommand(s *settings) *cobra.Command {
	return ops.Command(func(ctx context.Context, environment string, fn func(context.Context, ops.Backend) error) error {
		return withEnvironment(ctx, s, environment, func(ctx context.Context, env config.Environment, db *store.Store) error {
			// What the client would log is in the errors of its calls.
			temporal, err := worker.DialTemporal(db.Environment, env.Temporal, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer temporal.Close()

			starter := &workflows.Starter{Client: temporal, Environment: db.Environment}

			return fn(ctx, ops.Backend{
				Store: db, Nudger: starter, Reconciler: starter, Deliverer: starter, Finder: starter,
				LimitDefaults: env.LimitDefaults(),
			})
		})
	})
}

// exitCode is the process's for the error of a command, which may have one of
// its own.
func exitCode(err error) int {
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return exit.ExitCode()
	}

	return 1
}
