package faults_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
)

const (
	// killed is how often each process dies during its load.
	killed = 2
	// moments is how long after the last recovery a process dies at the latest.
	moments = 4 * time.Second
	// afterwards is how long the load goes on after the last recovery.
	afterwards = 3 * time.Second
)

// TestFaults runs one stack; each subtest breaks something under load and
// checks the whole history of the workspace afterwards, also what the earlier
// ones left. LNTPAY_FAULTS_SEED repeats a run's random moments.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole stack and kills its processes for minutes, which -short leaves out")
	}
	random := seeded(t)
	s := startStack(t)
	w := newWorkspace(t, s, "charge.paid")
	for _, name := range []string{"worker", "api", "temporal", "lnd_merchant", "postgres"} {
		t.Run("kill "+name, func(t *testing.T) { killUnderLoad(t, s, w, random, name) })
	}
	for _, name := range []string{"worker", "lnd_merchant"} {
		t.Run("pause "+name, func(t *testing.T) { pauseUnderLoad(t, s, w, random, name) })
	}
	for _, name := range []string{"api", "temporal", "postgres"} {
		t.Run("pause "+name, func(t *testing.T) {
			load.SkipUnlessSoak(t)
			pauseUnderLoad(t, s, w, random, name)
		})
	}
	for mode, signal := range restarts {
		t.Run("restart postgres "+mode, func(t *testing.T) {
			underLoad(t, s, w, random, "restart postgres "+mode, func() load.Outage { return s.end(t, "postgres", signal) })
		})
	}
	t.Run("terminate charges", func(t *testing.T) { terminateCharges(t, s, w) })
	t.Run("terminate openings", func(t *testing.T) { terminateOpenings(t, s, w) })
	t.Run("terminate singletons", func(t *testing.T) { terminateSingletons(t, s, w) })
	t.Run("kill the supervisor", func(t *testing.T) { killSupervisor(t, s, w, random) })
	t.Run("every event arrived", func(t *testing.T) { w.CheckDeliveries(t, s.target()) })
	t.Run("events under kills", func(t *testing.T) { tellEverything(t, s, w, random) })
}

// seeded gives the random moments of a run.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("LNTPAY_FAULTS_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("LNTPAY_FAULTS_SEED=%d", seed)

	return rand.New(rand.NewPCG(seed, 0))
}

// killUnderLoad kills one process at random moments while the load runs.
func killUnderLoad(t *testing.T, s *stack, w *workspace, random *rand.Rand, name string) {
	kill := func() load.Outage { return s.kill(t, name) }
	underLoad(t, s, w, random, "kill "+name, slices.Repeat([]func() load.Outage{kill}, killed)...)
}

// underLoad makes faults at random moments while the load runs, says what clients
// saw of each, and checks what became of everything.
func underLoad(t *testing.T, s *stack, w *workspace, random *rand.Rand, what string, faults ...func() load.Outage) {
	t.Helper()
	traffic := w.StartLoad(t, s.target(), load.Clients, load.ClientPause)
	var outages []load.Outage
	for _, fault := range faults {
		load.Pause(t, moments, random)
		began := time.Now()
		outages = append(outages, fault())
		s.report(t, what, began)
	}
	load.Pause(t, afterwards, nil)
	traffic.Finish(t)
	w.Check(t, s.target(), what, outages)
}

// report says what clients saw since a moment and, once a charge is made again,
// how long that took from now.
func (s *stack) report(t *testing.T, what string, began time.Time) {
	t.Helper()
	now := time.Now()
	var after time.Duration
	require.Eventually(t, func() (ok bool) {
		after, ok = s.meter.Created(now)

		return ok
	}, recoverWithin, load.Poll, "no charge can be made any more")
	t.Logf("%s: %s; the first charge came %s after the recovery", what, s.meter.Since(began), after.Round(time.Millisecond))
}
