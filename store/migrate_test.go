package store_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

// asRole makes a role that may log in, and gives the DSN with it.
func asRole(t *testing.T, dsn string) (role, roleDSN string) {
	t.Helper()
	role = "runtime_" + strings.ReplaceAll(payments.NewID("role"), "role_", "")
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, err = conn.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'x'", role))
	require.NoError(t, err)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "x")

	return role, u.String()
}

// The runtime role can do its work, but the book only ever grows.
func TestMigrateGrantsWhatTheRuntimeNeeds(t *testing.T) {
	t.Parallel()
	dsn := storetest.NewDatabase(t)
	role, roleDSN := asRole(t, dsn)
	for range 2 { // Again is harmless.
		require.NoError(t, store.Migrate(t.Context(), payments.Sandbox, dsn, role))
	}
	s, err := store.Open(t.Context(), payments.Sandbox, roleDSN, 2)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.CheckEnvironment(t.Context()))
	workspace, err := s.AddWorkspace(t.Context(), "test")
	require.NoError(t, err)
	require.NoError(t, s.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(t.Context(), tx, []ledger.Entry{{
			WorkspaceID: workspace.ID, Kind: ledger.KindChargeSettled, Ref: "ch_1",
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: 1,
		}})

		return err
	}))
	require.NoError(t, s.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		sealed, err := ledger.Seal(t.Context(), tx)
		require.EqualValues(t, 1, sealed.Head)

		return err
	}))
	breaks, err := ledger.VerifyChain(t.Context(), s.Pool, "")
	require.NoError(t, err)
	require.Empty(t, breaks)
	for _, statement := range []string{
		"UPDATE ledger_block SET head = 2", "DELETE FROM ledger_head", "TRUNCATE operator_action_seal", "UPDATE operator_action_seal SET head = 2",
		"UPDATE transfer SET amount_msat = 2", "DELETE FROM transfer", "TRUNCATE transfer", "DELETE FROM claim",
		"ALTER TABLE transfer DISABLE TRIGGER ALL", "DROP TABLE transfer",
	} {
		_, err := s.Pool.Exec(t.Context(), statement)
		require.Error(t, err, statement)
		require.NotContains(t, err.Error(), "immutable", "the grants refuse before the trigger must")
	}
}

// A database is of one environment for ever.
func TestMigrateRefusesTheOtherEnvironment(t *testing.T) {
	t.Parallel()
	dsn := storetest.NewDatabase(t)
	require.ErrorIs(t, store.Migrate(t.Context(), payments.Production, dsn, "postgres"), store.ErrWrongEnvironment)
	s, err := store.Open(t.Context(), payments.Production, dsn, 2)
	require.NoError(t, err)
	defer s.Close()
	require.ErrorIs(t, s.CheckEnvironment(t.Context()), store.ErrWrongEnvironment)
}
