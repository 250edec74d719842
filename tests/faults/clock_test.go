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
	// expiredWithin is for the sweeper, whom a jump does not wake: a minute until it
	// comes by, for what has been overdue for another.
	expiredWithin = 3 * time.Minute
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
		short := w.createExpiring(t)
		for i, offset := range jumps {
			load.Pause(t, moments, random)
			began := time.Now()
			clock.jump(t, s, offset)
			if i == 0 {
				w.payOrExpire(t, s, short)
			}
			load.Pause(t, jumpedFor, nil)
			s.report(t, fmt.Sprintf("Postgres' clock is off by %s", offset), began)
		}
		traffic.Finish(t)
		w.CheckBooks(t, s.target())
	})
	t.Run("withdrawals", func(t *testing.T) {
		var faults []func()
		for _, offset := range jumps {
			faults = append(faults, func() {
				clock.jump(t, s, offset)
				load.Pause(t, jumpedFor, nil)
			})
		}
		w.withdrawUnder(t, s, random, withdrawalPause, faults)
	})
}

// createExpiring makes twice as many charges as are to expire.
func (w *workspace) createExpiring(t *testing.T) (made []load.ChargeObject) {
	t.Helper()
	for range 2 * expiring {
		charge, err := w.CreateExpiring(t.Context(), 1, expiringSeconds)
		require.NoError(t, err)
		made = append(made, charge)
	}

	return made
}

// payOrExpire pays half of the charges that have expired by Postgres' clock and
// not by the node's: money wins. The others are closed on the node too, so that
// nobody can pay them any more.
func (w *workspace) payOrExpire(t *testing.T, s *stack, charges []load.ChargeObject) {
	t.Helper()
	payer, began := load.NewPayer(t, s.target()), time.Now()
	for _, charge := range charges[:expiring] {
		require.NoError(t, w.Settle(t.Context(), payer, charge))
	}
	for _, charge := range charges[expiring:] {
		require.Eventually(t, func() bool {
			return load.Get[load.ChargeObject](t, &w.Client, "/v1/charges/"+charge.ID).Status == "expired"
		}, expiredWithin, 10*load.Poll, "%s does not expire", charge.ID)
		payment, err := payer.Attempt(t.Context(), charge)
		require.NoError(t, err)
		require.NotZero(t, payment.FailureReason, "%s has expired and was paid", charge.ID)
	}
	t.Logf("%d charges were expired %s after the jump", expiring, time.Since(began).Round(time.Second))
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
