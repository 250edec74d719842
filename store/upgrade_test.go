package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/storetest"
)

// releases holds what `make record-release` writes at each release.
const releases = "testdata/releases"

// A database of each release takes every later migration, keeps all that it
// held, and still answers the statements of that release: its processes run on
// the new schema until the last of them is replaced.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	recorded, err := storetest.Releases(releases)
	require.NoError(t, err)
	require.NotEmpty(t, recorded)
	for _, release := range recorded {
		t.Run(fmt.Sprint(release.Version), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.NewEmptyDatabase(t)
			require.NoError(t, store.MigrateTo(t.Context(), dsn, release.Version))
			conn, err := pgx.Connect(t.Context(), dsn)
			require.NoError(t, err)
			defer conn.Close(context.WithoutCancel(t.Context()))
			require.NoError(t, release.Load(t.Context(), conn))
			tables, err := storetest.Tables(t.Context(), conn)
			require.NoError(t, err)
			before := contents(t, conn, tables)

			for _, version := range migrationsAfter(t, release.Version) {
				require.NoError(t, store.MigrateTo(t.Context(), dsn, version))
				require.Equal(t, before, contents(t, conn, tables), "migration %d changed what was there", version)
				answersStill(t, conn, release)
			}
			takesUp(t, dsn, conn.Config().User)
		})
	}
}

// contents is a table's number of rows and a digest of the columns that the
// release knew.
func contents(t *testing.T, conn *pgx.Conn, tables map[string][]string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for table, columns := range tables {
		var digest string
		require.NoError(t, conn.QueryRow(t.Context(), fmt.Sprintf(
			`SELECT count(*) || ' ' || coalesce(md5(string_agg(r.line, E'\n' ORDER BY r.line)), '')
			FROM (SELECT (ROW(%s))::text AS line FROM %s) r`,
			`"`+strings.Join(columns, `", "`)+`"`, table)).Scan(&digest), table)
		all[table] = digest
	}

	return all
}

func answersStill(t *testing.T, conn *pgx.Conn, release storetest.Release) {
	t.Helper()
	statements, err := release.Statements()
	require.NoError(t, err)
	require.NotEmpty(t, statements)
	for _, recorded := range statements {
		now, err := storetest.Describe(t.Context(), conn, recorded)
		require.NoError(t, err, "the release's processes can no longer run this")
		require.Equal(t, recorded, now, "the release's processes would read another result")
	}
}

// takesUp runs what a new version does first, and holds the books against their
// transfers.
func takesUp(t *testing.T, dsn, role string) {
	t.Helper()
	require.NoError(t, store.Migrate(t.Context(), payments.Sandbox, dsn, role))
	s, err := store.Open(t.Context(), payments.Sandbox, dsn, 2)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.CheckEnvironment(t.Context()))
	rows, err := s.Pool.Query(t.Context(), `SELECT workspace_id, available_msat, locked_msat, version FROM balance`)
	require.NoError(t, err)
	type balance struct {
		ID                         string
		Available, Locked, Version int64
	}
	balances, err := pgx.CollectRows(rows, pgx.RowToStructByPos[balance])
	require.NoError(t, err)
	require.NotEmpty(t, balances)
	for _, have := range balances {
		sums, err := ledgerdb.New(s.Pool).SumTransfers(t.Context(), have.ID)
		require.NoError(t, err)
		require.Equal(t, balance{have.ID, sums.AvailableMsat, sums.LockedMsat, sums.LastSequence}, have)
		_, err = s.ReadPendingMsat(t.Context(), have.ID)
		require.NoError(t, err)
	}
}

// migrationsAfter are the numbers of later migrations, in order.
func migrationsAfter(t *testing.T, version int64) []int64 {
	t.Helper()
	var later []int64
	for _, path := range migrationFiles(t) {
		var number int64
		_, err := fmt.Sscanf(strings.TrimPrefix(path, "migrations/"), "%d_", &number)
		require.NoError(t, err, path)
		if number > version {
			later = append(later, number)
		}
	}
	slices.Sort(later)

	return later
}

func migrationFiles(t *testing.T) []string {
	t.Helper()
	paths, err := fs.Glob(store.Migrations, "migrations/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, paths)

	return paths
}

// Nobody goes back: a step down would drop what was written since. What is
// wrong is mended by the next migration.
func TestMigrationsOnlyGoForward(t *testing.T) {
	t.Parallel()
	for _, path := range migrationFiles(t) {
		content, err := fs.ReadFile(store.Migrations, path)
		require.NoError(t, err)
		require.NotContains(t, string(content), "+goose Down", path)
	}
}
