package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/tests/regtest"
)

const (
	// smallDisk is the size of the file systems that are filled.
	smallDisk = "size=2g"
	// fullFor is for how long one is full.
	fullFor = 30 * time.Second
	// panicWithin bounds the wait for Postgres to find that it has no room.
	panicWithin = time.Minute
)

// TestDiskFull fills the file system of Postgres' data, and then that of its log
// (WAL), under load, and makes room again. Without room for the log Postgres
// panics and does not come up until there is some.
func TestDiskFull(t *testing.T) {
	load.SkipUnlessSoak(t)
	if os.Geteuid() != 0 {
		require.NoError(t, regtest.ReportNotProven("a full disk of Postgres: only root can mount a small one"))
		t.Skip("mounts file systems, which only root can")
	}
	random := seeded(t)
	s := startStack(t)
	data := s.moveToSmallDisks(t)
	w := newWorkspace(t, s, "charge.paid")
	t.Run("data", func(t *testing.T) {
		underLoad(t, s, w, random, "data disk full", func() load.Outage {
			return s.fill(t, filepath.Join(data, "ballast"), func() { s.awaitLog(t, "No space left on device") })
		})
	})
	t.Run("wal", func(t *testing.T) {
		underLoad(t, s, w, random, "WAL disk full", func() load.Outage {
			return s.fill(t, filepath.Join(data, "pg_wal", "ballast"), func() {
				s.burnLog(t)
				s.awaitLog(t, "PANIC")
			})
		})
	})
	t.Run("every event arrived", func(t *testing.T) { w.CheckDeliveries(t, s.target()) })
}

// moveToSmallDisks puts Postgres' data, and in it its log, on file systems of
// their own, while the stack stands.
func (s *stack) moveToSmallDisks(t *testing.T) (data string) {
	t.Helper()
	s.process.Stop()
	data = filepath.Join(s.dir, "state", "postgres")
	for _, folder := range []string{data, filepath.Join(data, "pg_wal")} {
		aside := filepath.Join(s.dir, "aside")
		require.NoError(t, exec.CommandContext(t.Context(), "cp", "--archive", folder, aside).Run())
		require.NoError(t, syscall.Mount("tmpfs", folder, "tmpfs", 0, smallDisk))
		t.Cleanup(func() {
			if s.process != nil {
				s.process.Stop()
			}
			require.NoError(t, syscall.Unmount(folder, 0))
		})
		require.NoError(t, exec.CommandContext(t.Context(), "cp", "--archive", aside+"/.", folder).Run())
		require.NoError(t, os.RemoveAll(aside))
	}
	s.start(t)

	return data
}

// fill writes until there is no room left, leaves it so for a while after what the
// fault is to lead to, and makes room again.
func (s *stack) fill(t *testing.T, ballast string, effect func()) load.Outage {
	t.Helper()
	from := time.Now()
	file, err := os.Create(ballast)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else {
			require.NoError(t, err)
		}
	}
	effect()
	t.Logf("full, and noticed after %s", time.Since(from).Round(time.Millisecond))
	load.Pause(t, fullFor, nil)
	require.NoError(t, os.Remove(ballast))
	require.NoError(t, file.Close())
	free := time.Now()
	s.awaitReady(t)
	t.Logf("ready %s after there was room", time.Since(free).Round(time.Millisecond))

	return load.Outage{From: from, To: time.Now()}
}

// burnLog begins new files of the log until there is no room for one.
func (s *stack) burnLog(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.superuser(t))
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for began := time.Now(); err == nil; {
		require.Less(t, time.Since(began), panicWithin, "the log never ran out of room")
		_, err = conn.Exec(t.Context(), "SELECT pg_logical_emit_message(false, 'fault', repeat('x', 1000000)), pg_switch_wal()")
	}
	t.Logf("Postgres went away: %v", err)
}

// superuser is the DSN of Postgres' own role.
func (s *stack) superuser(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "state", "secrets.json"))
	require.NoError(t, err)
	var secrets struct{ Postgres string }
	require.NoError(t, json.Unmarshal(text, &secrets))
	dsn, err := url.Parse(s.dev.DatabaseURL)
	require.NoError(t, err)
	dsn.User = url.UserPassword("postgres", secrets.Postgres)

	return dsn.String()
}

// awaitLog waits until Postgres has said something, for the first time.
func (s *stack) awaitLog(t *testing.T, what string) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(s.dir, "state", "logs", "postgres.log"))

		return err == nil && strings.Contains(string(text), what)
	}, panicWithin, load.Poll, "Postgres does not say %q", what)
}
