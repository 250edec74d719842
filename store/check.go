package store

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// CheckMigrated refuses a schema that is older or newer than this program's.
func (s *Store) CheckMigrated(ctx context.Context) error {
	want, err := latestMigration()
	if err != nil {
		return err
	}
	var present int64
	err = s.Pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&present)
	if err != nil {
		return fmt.Errorf("%s database is not migrated (run lntpay migrate): %w", s.Environment, err)
	}
	switch {
	case present < want:
		return fmt.Errorf("%s database is at version %d, this program needs %d: run lntpay migrate", s.Environment, present, want)
	case present > want:
		return fmt.Errorf("%s database is at version %d, this program knows %d: run a newer one", s.Environment, present, want)
	}

	return nil
}

// latestMigration is the number of the last file.
func latestMigration() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(files[len(files)-1], "migrations/"), "_")

	return strconv.ParseInt(number, 10, 64)
}

// TransfersFixed reports whether the role that is connected may not change
// transfers that are written.
func (s *Store) TransfersFixed(ctx context.Context) (fixed bool, err error) {
	err = s.Pool.QueryRow(ctx, `SELECT NOT (has_table_privilege('transfer', 'UPDATE') OR has_table_privilege('transfer', 'DELETE')
		OR has_table_privilege('transfer', 'TRUNCATE'))`).Scan(&fixed)
	if err != nil {
		return false, fmt.Errorf("read the rights of the role: %w", err)
	}

	return fixed, nil
}
