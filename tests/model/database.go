package model

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

// maxConns is more than there can be tasks in a transaction at once.
const maxConns = 12

// clockSQL puts a clock of the model's in front of Postgres' own: now() without a
// schema is the first one on the search path, where pg_catalog must then be
// named. Defaults were bound to the real one when their tables were made. It
// reads a setting of the connection, which the model writes when a transaction
// begins: as with the real one, a transaction has one time.
const clockSQL = `
CREATE SCHEMA sim;
CREATE FUNCTION sim.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
	$$ SELECT current_setting('sim.now')::timestamptz $$;
DO $$
DECLARE c record;
BEGIN
	FOR c IN SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND column_default = 'now()' AND table_name <> 'goose_db_version'
	LOOP
		EXECUTE format('ALTER TABLE public.%I ALTER COLUMN %I SET DEFAULT sim.now()', c.table_name, c.column_name);
	END LOOP;
	FOR c IN SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
	LOOP
		EXECUTE format('ALTER TABLE public.%I SET (autovacuum_enabled = off)', c.table_name);
	END LOOP;
END $$;`

// database is one of the model's own, which one seed after another uses.
type database struct {
	store *store.Store
	// admin is for what is not the product's: checks, locks, cleaning.
	admin *pgx.Conn
	// drop ends it.
	drop func()
	// clean empties all tables, truncate does so for good.
	clean, truncate string
	used            int
}

// openDatabase migrates a database and puts the clock in it.
func openDatabase(ctx context.Context, tracer pgx.QueryTracer) (d *database, err error) {
	superuser := os.Getenv(storetest.EnvDatabaseURL)
	if superuser == "" {
		return nil, fmt.Errorf("%s is not set: run by `make test` or `make soak`", storetest.EnvDatabaseURL)
	}
	name := fmt.Sprintf("model_%d_%d", os.Getpid(), time.Now().UnixNano())
	if err := execOnce(ctx, superuser, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	d = &database{drop: func() {
		_ = execOnce(context.WithoutCancel(ctx), superuser, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}}
	defer func() {
		if err != nil {
			d.close(ctx)
		}
	}()
	cfg, err := pgxpool.ParseConfig(withName(superuser, name))
	if err != nil {
		return d, err
	}
	if err := store.Migrate(ctx, payments.Sandbox, withName(superuser, name), cfg.ConnConfig.User); err != nil {
		return d, err
	}
	if err := execOnce(ctx, withName(superuser, name), clockSQL); err != nil {
		return d, fmt.Errorf("put a clock into the database: %w", err)
	}
	cfg.MaxConns = maxConns
	// A ping would be a step that the seed did not ask for.
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	maps.Copy(cfg.ConnConfig.RuntimeParams, map[string]string{
		"search_path": "sim, pg_catalog, public", "synchronous_commit": "off", "sim.now": "2000-01-01", "jit": "off",
		"timezone": "UTC",
	})
	if d.admin, err = pgx.ConnectConfig(ctx, cfg.ConnConfig.Copy()); err != nil {
		return d, err
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return d, err
	}
	d.store = &store.Store{Queries: db.New(pool), Pool: pool, Environment: payments.Sandbox}

	return d, d.readTables(ctx)
}

func (d *database) readTables(ctx context.Context) error {
	rows, err := d.admin.Query(ctx, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'
		AND table_type = 'BASE TABLE' AND table_name NOT IN ('goose_db_version', 'environment') ORDER BY 1`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	// As a replica no trigger asks whether transfers may go.
	d.clean = "SET session_replication_role = replica; DELETE FROM " + strings.Join(tables, "; DELETE FROM ") +
		"; SET session_replication_role = origin"
	d.truncate = "SET session_replication_role = replica; TRUNCATE " + strings.Join(tables, ", ") +
		" RESTART IDENTITY; SET session_replication_role = origin"

	return nil
}

// truncateEvery is how many seeds leave their dead rows to the next.
const truncateEvery = 25

// reset empties the database for the next seed.
func (d *database) reset(ctx context.Context) error {
	statement := d.clean
	if d.used%truncateEvery == 0 {
		statement = d.truncate
	}
	d.used++
	_, err := d.admin.PgConn().Exec(ctx, statement).ReadAll()

	return err
}

// waitsForLock reports whether a backend waits for another's lock.
func (d *database) waitsForLock(ctx context.Context, pid uint32) (waits bool, err error) {
	err = d.admin.QueryRow(ctx, "SELECT cardinality(pg_blocking_pids($1)) > 0", int32(pid)).Scan(&waits)

	return waits, err
}

func (d *database) close(ctx context.Context) {
	if d.store != nil {
		d.store.Close()
	}
	if d.admin != nil {
		_ = d.admin.Close(ctx)
	}
	d.drop()
}

func execOnce(ctx context.Context, dsn, statement string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.PgConn().Exec(ctx, statement).ReadAll()

	return err
}

func withName(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn
	}
	u.Path = "/" + name

	return u.String()
}
