package store_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/store/storetest"
)

// A page of pending charges, asked for behind the last of them, once read all
// that a workspace ever had: nearly every page of such a list is that one, and
// took 188 ms at a million.
func TestLastPageOfAStatusReadsNoOther(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	workspace := storetest.Workspace(t, s)
	// The old ones are paid, the new ones pending.
	for _, of := range []string{
		`SELECT 'ch_a' || lpad(n::text, 6, '0'), $1, 'n', 'k', sha256(n::text::bytea), 'paid', 1, 60, 'x', now(), 1, now(), now(), NULL FROM generate_series(1, 30000) n`,
		`SELECT 'ch_b' || lpad(n::text, 6, '0'), $1, 'n', 'k', sha256((-n)::text::bytea), 'pending', 1, 60, 'x', now(), 0, NULL, NULL, now() FROM generate_series(1, 3000) n`,
	} {
		_, err := s.Pool.Exec(t.Context(), `INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat, expires_in_s,
			bolt11, expires_at, amount_paid_msat, paid_at, closed_at, next_check_at) `+of, workspace)
		require.NoError(t, err)
	}
	_, err := s.Pool.Exec(t.Context(), "VACUUM (ANALYZE) charge")
	require.NoError(t, err)
	for _, page := range []struct {
		status, before string
		rows           int
	}{{"pending", "ch_a020000", 0}, {"pending", "ch_b000011", 10}, {"pending", "ch_c", 21}, {"paid", "ch_c", 21}, {"paid", "ch_a000002", 1}, {"expired", "ch_c", 0}} {
		read := explainPage(t, s.Pool, workspace, page.status, page.before)
		assert.Equal(t, page.rows, read.Rows, "%+v", page)
		assert.LessOrEqual(t, read.Blocks, 60, "%+v", page)
	}
}

// pageRead is what a page took.
type pageRead struct {
	Rows   int `json:"Actual Rows"`
	Blocks int `json:"Shared Hit Blocks"`
}

func explainPage(t *testing.T, pool interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, workspace, status, before string,
) pageRead {
	t.Helper()
	statements, err := storetest.Statements("db")
	require.NoError(t, err)
	for _, statement := range statements {
		if statement.Name != "readChargePageByStatus" {
			continue
		}
		var text string
		// By a plan for these parameters, as store.Planned has it.
		require.NoError(t, pool.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+statement.SQL, pgx.QueryExecModeCacheDescribe,
			workspace, status, before, time.Unix(0, 0), time.Now().Add(time.Hour), 21).Scan(&text))
		var plans []struct{ Plan pageRead }
		require.NoError(t, json.Unmarshal([]byte(text), &plans))

		return plans[0].Plan
	}
	require.FailNow(t, "there is no such statement")

	return pageRead{}
}
