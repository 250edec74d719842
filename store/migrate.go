package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/lntpay/lntpay/payments"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema of env's database up to date as the owner, marks
// the database as env's, and grants the runtime role what it needs: everything
// but changing a transfer. runtimeRole may be the owner. It is safe to run
// again and by two at once (an advisory lock serialises them).
func Migrate(ctx context.Context, env payments.Environment, ownerDSN, runtimeRole string) error {
	if _, err := ParseDSN(ownerDSN); err != nil {
		return fmt.Errorf("%s.migrate_database_url: %w", env, err)
	}
	conn, err := sql.Open("pgx", ownerDSN)
	if err != nil {
		return fmt.Errorf("open %s database: %w", env, err)
	}
	defer func() { _ = conn.Close() }()
	if err := migrateUp(ctx, conn); err != nil {
		return err
	}
	if err := markEnvironment(ctx, conn, env); err != nil {
		return err
	}

	return grant(ctx, conn, runtimeRole)
}

func migrateUp(ctx context.Context, conn *sql.DB) error {
	provider, err := migrator(conn)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}

	return nil
}

func migrator(conn *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}

	return provider, nil
}

// markEnvironment writes the environment's name once; a database of the other
// environment is refused for ever.
func markEnvironment(ctx context.Context, conn *sql.DB, env payments.Environment) error {
	if _, err := conn.ExecContext(ctx,
		`INSERT INTO environment (name) VALUES ($1) ON CONFLICT DO NOTHING`, string(env)); err != nil {
		return fmt.Errorf("mark environment: %w", err)
	}
	var name string
	if err := conn.QueryRowContext(ctx, `SELECT name FROM environment`).Scan(&name); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if name != string(env) {
		return fmt.Errorf("%s.database_url is the database of %s: %w", env, name, ErrWrongEnvironment)
	}

	return nil
}

// ErrWrongEnvironment means that a database belongs to the other environment.
var ErrWrongEnvironment = errors.New("store: database of another environment")

func grant(ctx context.Context, conn *sql.DB, role string) error {
	quoted := pgx.Identifier{role}.Sanitize()
	for _, statement := range []string{
		`GRANT USAGE ON SCHEMA public TO ` + quoted,
		`GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ` + quoted,
		// A book that can be rewritten proves nothing.
		`REVOKE UPDATE, DELETE, TRUNCATE ON transfer, operator_action, ledger_block, ledger_head, operator_action_seal FROM ` + quoted,
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("grant to %s: %w", role, err)
		}
	}

	return nil
}

// CheckEnvironment refuses a database that is not marked as env's: not
// migrated, or the other environment's.
func (s *Store) CheckEnvironment(ctx context.Context) error {
	name, err := s.GetEnvironment(ctx)
	if err != nil {
		return fmt.Errorf("%s database is not migrated (run lntpay migrate): %w", s.Environment, err)
	}
	if name != string(s.Environment) {
		return fmt.Errorf("%s.database_url is the database of %s: %w", s.Environment, name, ErrWrongEnvironment)
	}

	return nil
}

// Registers the "pgx" driver for database/sql, which goose needs.
var _ = stdlib.GetDefaultDriver
