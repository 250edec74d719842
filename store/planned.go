package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lntpay/lntpay/store/db"
)

// Planned runs each statement by a plan for its very parameters. Of a list with
// filters the plan that Postgres keeps for any parameters is a guess: it read a
// table from its end, of all workspaces, in search of the rows of one. To plan
// costs some tenths of a millisecond.
type Planned struct{ pool *pgxpool.Pool }

// Planned is the pool for such statements.
func (s *Store) Planned() Planned { return Planned{s.Pool} }

// Lists are the queries for what lists with filters read.
func (s *Store) Lists() *db.Queries { return db.New(s.Planned()) }

// with puts the mode before the arguments, as pgx wants it: an unnamed statement,
// whose description is kept and whose plan is not.
func (Planned) with(args []any) []any { return append([]any{pgx.QueryExecModeCacheDescribe}, args...) }

// Exec implements the generated code's DBTX.
func (p Planned) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return p.pool.Exec(ctx, sql, p.with(args)...)
}

// Query implements the generated code's DBTX.
func (p Planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.pool.Query(ctx, sql, p.with(args)...)
}

// QueryRow implements the generated code's DBTX.
func (p Planned) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.pool.QueryRow(ctx, sql, p.with(args)...)
}
