package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/tests/load"
)

const (
	// jump is by how much Postgres' clock jumps, and jumpedFor how long the load
	// goes on until the next.
	jump      = time.Hour
	jumpedFor = 20 * time.Second
	// noticedWithin bounds how long a process of Postgres may go by its old clock.
	noticedWithin = 10 * time.Second
	// expiring charges live for ten minutes, which a jump ends.
	expiring, expiringSeconds = 5, 600
)

// jumps are the offsets of Postgres' clock, one after the other: it jumps forward,
// back, back once more and forward.
var jumps = []time.Duration{jump, 0, -jump, 0}

// TestClockJumps has Postgres' clock, by which all deadlines are judged, jump by an
// hour both ways under a load of charges and then of withdrawals. The machine's
// own clock stays: Postgres runs under libfaketime. The Go programs cannot (they
// ask the kernel without libc), so that to them their clocks are right and
// Postgres' is wrong.
func TestClockJumps(t *testing.T) {
	load.SkipUnlessSoak(t)
	random := seeded(t)
	clock, path := newClock(t)
	s := startStack(t, "PATH="+path)
	w := newWorkspace(t, s, "*")

	t.Run("charges", func(t *testing.T) {
		traffic := w.StartLoad(t, s.target(), load.Clients, load.ClientPause)
		var short []load.ChargeObject
		for range expiring {
			charge, err := w.CreateExpiring(t.Context(), 1, expiringSeconds)
			require.NoError(t, err)
			short = append(short, charge)
		}
		for _, offset := range jumps {
			load.Pause(t, moments, random)
			began := time.Now()
			clock.jump(t, s, offset)
			load.Pause(t, jumpedFor, nil)
			s.report(t, fmt.Sprintf("Postgres' clock is off by %s", offset), began)
		}
		traffic.Finish(t)
		w.CheckBooks(t, s.target())
		s.requireExpired(t, w, short)
	})
	t.Run("withdrawals", func(t *testing.T) {
		var faults []func()
		for _, offset := range append(jumps, jumps...) {
			faults = append(faults, func() {
				clock.jump(t, s, offset)
				load.Pause(t, jumpedFor, nil)
			})
		}
		w.withdrawUnder(t, s, random, faults)
	})
}

// requireExpired: charges that a clock has taken for expired are closed on the
// node as well: nobody can pay them any more.
func (s *stack) requireExpired(t *testing.T, w *workspace, charges []load.ChargeObject) {
	t.Helper()
	payer := load.NewPayer(t, s.target())
	for _, charge := range charges {
		got := load.Get[load.ChargeObject](t, &w.Client, "/v1/charges/"+charge.ID)
		require.Equal(t, "expired", got.Status, charge.ID)
		payment, err := payer.Attempt(t.Context(), charge)
		require.NoError(t, err)
		require.NotZero(t, payment.FailureReason, "%s has expired and was paid", charge.ID)
	}
}

// fakeClock is the clock of a Postgres that runs under libfaketime.
type fakeClock struct{ file string }

// newClock makes programs that go by it; the stack finds them on the path.
func newClock(t *testing.T) (c *fakeClock, path string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	require.NoError(t, err)
	require.NotEmpty(t, found, "libfaketime is missing: apt-get install faketime")
	dir, err := os.MkdirTemp("", "lntpay-clock-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	c = &fakeClock{file: filepath.Join(dir, "offset")}
	c.set(t, 0)
	for name, before := range map[string]string{
		"initdb": "",
		"postgres": fmt.Sprintf("env LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=%s FAKETIME_CACHE_DURATION=1 "+
			"FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1", found[0], c.file),
	} {
		program, err := devnet.PostgresProgram(t.Context(), name)
		require.NoError(t, err)
		script := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", before, program)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}

	return c, dir + string(filepath.ListSeparator) + os.Getenv("PATH")
}

// set writes the offset whole: each process reads it once a second.
func (c *fakeClock) set(t *testing.T, offset time.Duration) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.file+".new", fmt.Appendf(nil, "%+d\n", int(offset.Seconds())), 0o644))
	require.NoError(t, os.Chmod(c.file+".new", 0o644))
	require.NoError(t, os.Rename(c.file+".new", c.file))
}

// jump moves Postgres' clock, and waits until a process of it goes by that.
func (c *fakeClock) jump(t *testing.T, s *stack, offset time.Duration) {
	t.Helper()
	c.set(t, offset)
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	require.Eventually(t, func() bool {
		var now time.Time
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now))

		return (time.Until(now) - offset).Abs() < 10*time.Second
	}, noticedWithin, load.Poll, "Postgres' clock does not jump")
	t.Logf("Postgres' clock is off by %s", offset)
}
