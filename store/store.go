package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
)

// ErrNotFound says that a row does not exist, or not for this workspace.
var ErrNotFound = errors.New("store: not found")

// Store is one environment's database.
type Store struct {
	*db.Queries
	Pool        *pgxpool.Pool
	Environment payments.Environment
	// Metrics may be nil.
	Metrics *Metrics
}

// statementTimeout ends what a lost context would leave running.
const statementTimeout = "15s"

// Open connects a pool of at most maxConns to the database of env. It pings
// once, but a Postgres that goes away later is waited for by each call's own
// deadline.
func Open(ctx context.Context, env payments.Environment, dsn string, maxConns int32) (*Store, error) {
	if _, err := ParseDSN(dsn); err != nil {
		return nil, fmt.Errorf("%s.database_url: %w", env, err)
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s.database_url: %w", env, errNotADSN)
	}
	cfg.MaxConns = maxConns
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.ConnConfig.RuntimeParams["application_name"] = "lntpay"
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = statementTimeout
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = statementTimeout
	cfg.ConnConfig.Tracer = telemetry.Postgres{}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open %s database: %w", env, err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()

		return nil, fmt.Errorf("reach %s database: %w", env, err)
	}

	return &Store{Queries: db.New(pool), Pool: pool, Environment: env}, nil
}

// Close ends the pool.
func (s *Store) Close() { s.Pool.Close() }

// InTx runs fn in a READ COMMITTED transaction. fn's error rolls back and is
// returned as it is; the error of a commit means "unknown", and since every
// write is idempotent by key the caller may run again.
func (s *Store) InTx(ctx context.Context, fn func(tx pgx.Tx, q *db.Queries) error) error {
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return fn(tx, s.WithTx(tx)) })
}

// Snapshot runs fn in a read-only REPEATABLE READ transaction: all that it
// reads is of one instant.
func (s *Store) Snapshot(ctx context.Context, fn func(tx pgx.Tx, q *db.Queries) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

	return pgx.BeginTxFunc(ctx, s.Pool, options, func(tx pgx.Tx) error { return fn(tx, s.Queries.WithTx(tx)) })
}
