// Package storetest gives a test a real Postgres database of its own, migrated
// and empty, cloned from a template so that it costs some tens of milliseconds.
package storetest

import (
	"context"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.jetify.com/typeid"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// EnvDatabaseURL names a superuser DSN of a Postgres that tests may fill with
// databases; `make test` starts one and sets it.
const EnvDatabaseURL = "LNTPAY_TEST_DATABASE_URL"

const timeout = 60 * time.Second

var (
	templateOnce sync.Once
	errTemplate  error
	templateName string
)

// New opens a fresh, migrated sandbox database that is dropped when the test
// ends.
func New(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), payments.Sandbox, NewDatabase(t), 20)
	require.NoError(t, err)
	t.Cleanup(s.Close)

	return s
}

// NewDatabase is New for those who connect themselves: it returns the DSN.
func NewDatabase(t testing.TB) string {
	t.Helper()
	admin := adminDSN(t)
	templateOnce.Do(func() { errTemplate = makeTemplate(admin) })
	require.NoError(t, errTemplate)

	return create(t, admin, " TEMPLATE "+templateName)
}

// NewEmptyDatabase returns the DSN of one without a schema.
func NewEmptyDatabase(t testing.TB) string {
	t.Helper()

	return create(t, adminDSN(t), "")
}

func adminDSN(t testing.TB) string {
	t.Helper()
	admin := os.Getenv(EnvDatabaseURL)
	require.NotEmpty(t, admin, "%s is not set: run the tests by `make test`, or set it to a superuser DSN", EnvDatabaseURL)

	return admin
}

func create(t testing.TB, admin, from string) string {
	t.Helper()
	name := uniqueName("test")
	require.NoError(t, run(admin, "CREATE DATABASE "+name+from))
	t.Cleanup(func() { _ = run(admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })

	return withDatabase(admin, name)
}

// Workspace creates a workspace and returns its id.
func Workspace(t testing.TB, s *store.Store) string {
	t.Helper()
	workspace, err := s.AddWorkspace(t.Context(), "test")
	require.NoError(t, err)

	return workspace.ID
}

func makeTemplate(admin string) error {
	templateName = uniqueName("template")
	if err := run(admin, "CREATE DATABASE "+templateName); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cfg, err := pgx.ParseConfig(admin)
	if err != nil {
		return err
	}

	return store.Migrate(ctx, payments.Sandbox, withDatabase(admin, templateName), cfg.User)
}

func run(dsn, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)

	return err
}

func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	u.Path = "/" + name

	return u.String()
}

func uniqueName(prefix string) string {
	return prefix + "_" + typeid.Must(typeid.WithPrefix("")).String()
}
