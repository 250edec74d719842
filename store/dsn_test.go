package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// A password stays out of every error, also one that makes the DSN unreadable,
// and that of a Postgres that is not there.
func TestNoErrorTellsAPassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://lntpay:hunter2/x@127.0.0.1:1/db", "postgres://lntpay:hunter2@127.0.0.1:port/db",
		"host=127.0.0.1 password=hunter2 port=none", "host=127.0.0.1 password='hunter2 port=1",
		"hunter2", "postgres://lntpay:hunter2@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/none",
		"postgres://lntpay:hunter2@127.0.0.1:1/db?connect_timeout=1",
	} {
		_, err := store.Open(t.Context(), payments.Sandbox, dsn, 2)
		require.Error(t, err, dsn)
		require.NotContains(t, err.Error(), "hunter2")
		require.ErrorContains(t, err, "sandbox")
		err = store.Migrate(t.Context(), payments.Sandbox, dsn, "lntpay")
		require.Error(t, err, dsn)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
