package activities_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/store/db"
)

// Each sweep seals what was booked since the last, and what cannot be sealed
// is an alert.
func TestSweepSealsTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.paid(t)
	w.paid(t)
	require.Empty(t, w.swept(t))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM ledger_head"))
	require.Zero(t, w.metric(t, "lntpay_ledger_sealed_lag_transfers", ""))
	require.Empty(t, w.swept(t))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM ledger_head"), "nothing new, no head")
	w.paid(t)
	require.Empty(t, w.swept(t))
	require.EqualValues(t, 2, w.number(t, "SELECT count(*) FROM ledger_block WHERE last_sequence > 1"))
	breaks, err := ledger.VerifyChain(t.Context(), w.Store.Pool, "")
	require.NoError(t, err)
	require.Empty(t, breaks)

	w.paid(t)
	require.NoError(t, w.Store.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), "DELETE FROM transfer WHERE sequence = 4")

		return err
	}))
	require.Empty(t, w.swept(t))
	require.Equal(t, 1, w.metric(t, "lntpay_alerts_total", "chain_broken"))
	require.Equal(t, 1, w.metric(t, "lntpay_ledger_sealed_lag_transfers", ""))
}
