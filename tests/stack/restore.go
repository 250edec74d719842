package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// Backup is a dump of the product's database.
type Backup struct{ file string }

// Backup dumps the database while everything runs, by pg_dump.
func (s *Stack) Backup(ctx context.Context) (Backup, error) {
	b := Backup{file: filepath.Join(s.dir, "backup.dump")}

	return b, s.postgresProgram(ctx, "pg_dump", "--format=custom", "--file="+b.file, s.Config.Sandbox.DatabaseURL)
}

func (s *Stack) postgresProgram(ctx context.Context, name string, args ...string) error {
	path, err := devnet.PostgresProgram(ctx, name)
	if err != nil {
		return err
	}
	if output, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, output)
	}

	return nil
}

// Stop ends the worker and the API, as whoever restores a database must.
func (s *Stack) Stop() error { return errors.Join(s.StopWorker(), s.stopAPI()) }

// Restore makes the dump the product's database, under another name: what was
// written since is gone for it. The worker and the API must not run.
func (s *Stack) Restore(ctx context.Context, b Backup) error {
	defer func() { _ = os.Remove(b.file) }()
	dsn, err := url.Parse(s.Config.Sandbox.DatabaseURL)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE lntpay_restored")
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	dsn.Path = "/lntpay_restored"
	if err := s.postgresProgram(ctx, "pg_restore", "--exit-on-error", "--dbname="+dsn.String(), b.file); err != nil {
		return err
	}
	restored, err := store.Open(ctx, payments.Sandbox, dsn.String(), storeConns)
	if err != nil {
		return err
	}
	s.Store.Close()
	// A new process begins new ones.
	s.APIMetrics = prometheus.NewRegistry()
	s.Store, s.Config.Sandbox.DatabaseURL = restored, dsn.String()

	return nil
}

// Start starts the worker and the API again.
func (s *Stack) Start(ctx context.Context) error {
	if err := s.StartWorker(ctx); err != nil {
		return err
	}

	return s.startAPI(ctx)
}
