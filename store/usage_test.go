package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

// usageChanges are what can become of a charge, late money of a closed one
// included, and changes that usage does not count.
var usageChanges = []string{
	`status = 'pending', bolt11 = 'lnbcrt', expires_at = now(), next_check_at = now(), amount_paid_msat = 0, paid_at = NULL, closed_at = NULL`,
	`status = 'paid', bolt11 = 'lnbcrt', expires_at = now(), amount_paid_msat = amount_msat + 1, paid_at = now(), closed_at = now(), next_check_at = NULL`,
	`status = 'expired', bolt11 = 'lnbcrt', expires_at = now(), amount_paid_msat = 0, paid_at = NULL, closed_at = now(), next_check_at = NULL`,
	`status = 'canceled', bolt11 = 'lnbcrt', expires_at = now(), amount_paid_msat = 0, paid_at = NULL, closed_at = now(), next_check_at = NULL`,
	`created_at = created_at + interval '1 hour'`, `warnings = '{x}'`,
}

// TestUsageIsWhatTheChargesAre: whatever changes charges, one or many at a time
// and from several connections at once, what is counted is what a look at all of
// them gives.
func TestUsageIsWhatTheChargesAre(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	const charges, changes, workers = 60, 60, 4
	workspaces := []string{storetest.Workspace(t, s), storetest.Workspace(t, s)}
	for i := range charges {
		hash := sha256.Sum256(fmt.Append(nil, i))
		_, err := s.Pool.Exec(t.Context(), `INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat, expires_in_s, created_at)
			VALUES ($1, $2, 'n', 'k', $3, 'creating', $4, 60, '2026-01-31T10:00:00Z'::timestamptz + $5 * interval '20 minutes')`,
			fmt.Sprintf("ch_%03d", i), workspaces[i%2], hash[:], i+1, i%12)
		require.NoError(t, err)
	}
	var group errgroup.Group
	for worker := range workers {
		random := rand.New(rand.NewPCG(1, uint64(worker)))
		group.Go(func() error {
			for range changes {
				first, many := random.IntN(charges), 1+random.IntN(5)
				// Locked by ascending id, as the product does.
				err := s.InTx(context.WithoutCancel(t.Context()), func(tx pgx.Tx, _ *db.Queries) error {
					rows, err := tx.Query(t.Context(), `SELECT id FROM charge WHERE id >= $1 AND id < $2 ORDER BY id FOR UPDATE`,
						fmt.Sprintf("ch_%03d", first), fmt.Sprintf("ch_%03d", first+many))
					if err != nil {
						return err
					}
					rows.Close()
					_, err = tx.Exec(t.Context(), `UPDATE charge SET `+usageChanges[random.IntN(len(usageChanges))]+` WHERE id >= $1 AND id < $2
						AND (status <> 'creating' OR $3)`, fmt.Sprintf("ch_%03d", first), fmt.Sprintf("ch_%03d", first+many), true)

					return err
				})
				if err != nil {
					return err
				}
			}

			return nil
		})
	}
	require.NoError(t, group.Wait())
	for _, workspace := range workspaces {
		require.Equal(t, lookedAt(t, s, workspace), counted(t, s, workspace))
	}
}

var (
	usageFrom = time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	usageTo   = usageFrom.Add(10 * 24 * time.Hour)
)

func counted(t *testing.T, s *store.Store, workspace string) map[time.Time]db.ReadChargeUsageRow {
	t.Helper()
	rows, err := s.ReadChargeUsage(t.Context(), db.ReadChargeUsageParams{
		WorkspaceID: workspace, FromTime: usageFrom, ToTime: usageTo, Bucket: pgtype.Interval{Microseconds: time.Hour.Microseconds(), Valid: true},
	})
	require.NoError(t, err)
	require.Len(t, rows, 240)
	all := map[time.Time]db.ReadChargeUsageRow{}
	for _, row := range rows {
		if row.Start = row.Start.UTC(); row.Created > 0 {
			all[row.Start] = row
		} else {
			require.Equal(t, db.ReadChargeUsageRow{Start: row.Start}, row)
		}
	}
	require.NotEmpty(t, all)

	return all
}

func lookedAt(t *testing.T, s *store.Store, workspace string) map[time.Time]db.ReadChargeUsageRow {
	t.Helper()
	rows, err := s.Pool.Query(t.Context(), `SELECT date_trunc('hour', created_at, 'UTC'), count(*), count(*) FILTER (WHERE status = 'paid'),
		count(*) FILTER (WHERE status = 'expired'), count(*) FILTER (WHERE status = 'canceled'), sum(amount_msat)::bigint, sum(amount_paid_msat)::bigint
		FROM charge WHERE workspace_id = $1 AND status <> 'creating' GROUP BY 1`, workspace)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[db.ReadChargeUsageRow])
	require.NoError(t, err)
	all := map[time.Time]db.ReadChargeUsageRow{}
	for _, row := range list {
		row.Start = row.Start.UTC()
		all[row.Start] = row
	}

	return all
}

// TestUsageOfChargesFromBefore: the migration counts what is there.
func TestUsageOfChargesFromBefore(t *testing.T) {
	t.Parallel()
	dsn := storetest.NewEmptyDatabase(t)
	require.NoError(t, store.MigrateTo(t.Context(), dsn, 11))
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), `INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat, amount_paid_msat, expires_in_s, bolt11,
			created_at, expires_at, paid_at, closed_at)
		SELECT 'ch_' || n, 'ws_1', 'n', 'k', sha256(n::text::bytea), CASE WHEN n % 3 = 0 THEN 'paid' ELSE 'expired' END, n, CASE WHEN n % 3 = 0 THEN n ELSE 0 END, 60,
			'lnbcrt', '2026-01-31T10:00:00Z'::timestamptz + n * interval '7 minutes', now(), CASE WHEN n % 3 = 0 THEN now() END, now()
		FROM generate_series(1, 100) n`)
	require.NoError(t, err)
	require.NoError(t, store.MigrateTo(t.Context(), dsn, 13))
	s, err := store.Open(t.Context(), "sandbox", dsn, 2)
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, lookedAt(t, s, "ws_1"), counted(t, s, "ws_1"))
}
