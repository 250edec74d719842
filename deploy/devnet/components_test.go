package devnet

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

// startPostgres runs a server for one test.
func startPostgres(t *testing.T) string {
	t.Helper()
	port, err := freeport.Take(1)
	require.NoError(t, err)
	dsn, stop, err := StartPostgres(t.Context(), t.TempDir(), port)
	require.NoError(t, err)
	t.Cleanup(stop)

	return dsn
}

func TestPostgresKeepsItsData(t *testing.T) {
	port, err := freeport.Take(1)
	require.NoError(t, err)
	dir := t.TempDir()
	dsn, stop, err := StartPostgres(t.Context(), dir, port)
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS answer")
	require.NoError(t, err)
	var fsync string
	require.NoError(t, conn.QueryRow(t.Context(), "SHOW fsync").Scan(&fsync))
	require.Equal(t, "on", fsync)
	require.NoError(t, conn.Close(t.Context()))
	stop()
	require.Error(t, pingPostgres(t.Context(), dsn))

	_, stop, err = StartPostgres(t.Context(), dir, port)
	require.NoError(t, err)
	defer stop()
	conn, err = pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var answer int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT answer FROM kept").Scan(&answer))
	require.Equal(t, 42, answer)
}

func TestPrepareDatabaseTwice(t *testing.T) {
	dsn := startPostgres(t)
	passwords := map[string]string{ownerRole: "a1", runtimeRole: "b2", temporalRole: "c3"}
	ours := database{admin: dsn, ours: true}
	require.NoError(t, ours.prepare(t.Context(), passwords))
	require.NoError(t, ours.prepare(t.Context(), passwords))
	for role, password := range passwords {
		dsn, err := ours.dsn(role, password, "postgres")
		require.NoError(t, err)
		require.NoError(t, pingPostgres(t.Context(), dsn))
	}

	passwords[runtimeRole] = "changed"
	foreign := database{admin: dsn}
	require.ErrorContains(t, foreign.prepare(t.Context(), passwords), runtimeRole)
	require.NoError(t, ours.prepare(t.Context(), passwords), "our own server takes the new password")
}

// The whole of the heavy parts: Temporal on Postgres, and a regtest network
// that starts again with the channels that it had.
func TestComponents(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Temporal, btcd and two lnd nodes")
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error { return tryTemporal(ctx, t) })
	group.Go(func() error {
		dir := t.TempDir()
		for range 2 {
			if err := tryNetwork(ctx, t, dir); err != nil {
				return err
			}
		}

		return nil
	})
	require.NoError(t, group.Wait())
}

func tryTemporal(ctx context.Context, t *testing.T) error {
	t.Helper()
	base, err := freeport.Take(TemporalPortCount)
	if err != nil {
		return err
	}
	began := time.Now()
	addr, stop, err := StartTemporal(ctx, t.TempDir(), startPostgres(t), TemporalPortsFrom(base))
	if err != nil {
		return err
	}
	defer stop()
	t.Logf("Temporal on a new database in %s", time.Since(began))
	temporal, err := client.DialContext(ctx, client.Options{HostPort: addr, Namespace: "temporal-system", Logger: silent{}})
	if err != nil {
		return err
	}
	temporal.Close()

	return nil
}

func tryNetwork(ctx context.Context, t *testing.T, dir string) error {
	t.Helper()
	base, err := freeport.Take(8)
	if err != nil {
		return err
	}
	began := time.Now()
	chain, stop, err := StartBtcd(ctx, filepath.Join(dir, "btcd"), BtcdPorts{RPC: base, Peers: base + 1})
	if err != nil {
		return err
	}
	defer stop()
	merchant, stop, err := StartLnd(ctx, "merchant", filepath.Join(dir, "merchant"), LndPorts{base + 2, base + 3, base + 4}, chain)
	if err != nil {
		return err
	}
	defer stop()
	payer, stop, err := StartLnd(ctx, "payer", filepath.Join(dir, "payer"), LndPorts{base + 5, base + 6, base + 7}, chain)
	if err != nil {
		return err
	}
	defer stop()
	if err := Fund(ctx, chain, merchant); err != nil {
		return err
	}
	t.Logf("nodes in %s", time.Since(began))
	if err := OpenChannels(ctx, chain, merchant, payer, 2, 1_000_000); err != nil {
		return err
	}
	t.Logf("network in %s", time.Since(began))
	confirmed, pending, err := merchant.channels(ctx, payer)
	if err != nil {
		return err
	}
	if confirmed != 2 || pending != 0 {
		t.Errorf("%d channels and %d pending, want 2 and 0", confirmed, pending)
	}

	return nil
}
