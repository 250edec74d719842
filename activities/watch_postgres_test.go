package activities_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/store/storetest"
)

// Postgres is restored under a running watcher whose streams are quiet: what
// the node paid since the backup is found at once, not by the hourly sweep.
func TestRestoreUnderTheWatcher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	name := w.Store.Pool.Config().ConnConfig.Database
	backup, lost := name+"_backup", name+"_lost"
	admin, err := pgx.Connect(t.Context(), os.Getenv(storetest.EnvDatabaseURL))
	require.NoError(t, err)
	run := func(ctx context.Context, statements ...string) {
		for _, statement := range statements {
			_, err := admin.Exec(ctx, statement)
			require.NoError(t, err, statement)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		run(ctx, "DROP DATABASE IF EXISTS "+backup+" WITH (FORCE)", "DROP DATABASE IF EXISTS "+lost+" WITH (FORCE)")
		require.NoError(t, admin.Close(ctx))
	})
	// alone runs statements while nobody is connected.
	alone := func(statements ...string) {
		run(t.Context(), fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS false", name))
		require.Eventually(t, func() bool {
			run(t.Context(), fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", name))
			var n int
			require.NoError(t, admin.QueryRow(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name).Scan(&n))

			return n == 0
		}, patience, 10*time.Millisecond)
		run(t.Context(), append(statements, fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true", name))...)
		w.Store.Pool.Reset()
	}
	alone(fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", backup, name))
	id, _ := w.held(t, lightningtest.Succeed(0))
	w.watch(t)
	w.send(t, id)
	w.succeeded(t, id, 0)
	require.Eventually(t, func() bool {
		return w.number(t, "SELECT highest_payment_index FROM node") == 1
	}, patience, 10*time.Millisecond, "the stream has told all")
	require.Zero(t, w.alerts(t, activities.AlertPaymentUnexplained))
	alone(fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", name, lost), fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", backup, name))
	w.eventually(t, "the payment is found", func() bool { return w.alerts(t, activities.AlertPaymentUnexplained) > 0 })
	require.Zero(t, w.number(t, "SELECT count(*) FROM withdrawal WHERE id = $1", id))
}
