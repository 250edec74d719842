package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
)

// Migrations are the SQL files, for tests of what they say.
var Migrations fs.FS = migrations

// MigrateTo brings a database to the schema of one migration.
func MigrateTo(ctx context.Context, dsn string, version int64) error {
	conn, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	provider, err := migrator(conn)
	if err != nil {
		return err
	}
	if _, err := provider.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate to %d: %w", version, err)
	}

	return nil
}
