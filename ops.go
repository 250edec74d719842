package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// opsTimeout bounds a command of an operator: a thaw waits for a sweeper, and
// nudges after that.
const opsTimeout = 3 * time.Minute

// opsCommand gives the operator's commands their environment.
func opsCommand(s *settings) *cobra.Command {
	return ops.Command(func(ctx context.Context, environment string, fn func(context.Context, ops.Backend) error) error {
		ctx, cancel := context.WithTimeout(ctx, opsTimeout)
		defer cancel()

		return withEnvironment(ctx, s, environment, func(ctx context.Context, env config.Environment, db *store.Store) error {
			// What the client would log is in the errors of its calls.
			temporal, err := worker.DialTemporal(db.Environment, env.Temporal, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer temporal.Close()

			return fn(ctx, ops.Backend{
				Store: db, Nudger: &workflows.Starter{Client: temporal, Environment: db.Environment},
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
