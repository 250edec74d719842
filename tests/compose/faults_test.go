package compose_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/compose"
	"github.com/lntpay/lntpay/tests/load"
)

const (
	// deadFor is how long a killed container stays away, and recovered how long
	// the load goes on after each fault.
	deadFor   = 5 * time.Second
	recovered = 3 * time.Second
	// cutFor is how long a container reaches nobody.
	cutFor = 30 * time.Second
	// healthyWithin bounds the start of a container.
	healthyWithin = time.Minute
	// gapAllowed is for how long no request may succeed while one of a pair is
	// gone. It is no promise: a client waits 15 s for an answer, of which a proxy
	// that does not know yet may take all.
	gapAllowed = 10 * time.Second
)

// TestFaults takes away each of the api and of the workers under load, by a kill
// and by cutting its network, and restarts all four one after another, as
// docs/deployment/compose.md says; then it compares what clients were told with
// the database, the books and both nodes.
func TestFaults(t *testing.T) {
	p, s := open(t)
	traffic := startTraffic(t, p, s)
	pairs := []string{compose.API1, compose.API2, compose.Worker1, compose.Worker2}
	for _, service := range pairs {
		traffic.during(t, "kill "+service, func(t *testing.T, ctx context.Context) {
			require.NoError(t, p.Kill(ctx, service))
			load.Pause(t, deadFor, nil)
			require.NoError(t, p.Start(ctx, service))
			require.NoError(t, p.WaitHealthy(ctx, service))
		})
	}
	for _, pair := range [][]string{{compose.API1, compose.Worker1}, {compose.API2, compose.Worker2}} {
		traffic.during(t, "cut "+pair[0]+" and "+pair[1], func(t *testing.T, ctx context.Context) {
			for _, service := range pair {
				require.NoError(t, p.Disconnect(ctx, service))
			}
			load.Pause(t, cutFor, nil)
			for _, service := range pair {
				require.NoError(t, p.Connect(ctx, service))
			}
			for _, service := range pair {
				require.NoError(t, p.WaitHealthy(ctx, service))
			}
		})
	}
	rolled := traffic.during(t, "rolling restart", func(t *testing.T, ctx context.Context) {
		for _, service := range []string{compose.Worker1, compose.Worker2, compose.API1, compose.API2} {
			began := time.Now()
			require.NoError(t, p.Stop(ctx, service))
			stopped := time.Now()
			require.NoError(t, p.Start(ctx, service))
			require.NoError(t, p.WaitHealthy(ctx, service))
			t.Logf("%s stopped within %s and was ready %s later", service, stopped.Sub(began).Round(time.Millisecond),
				time.Since(stopped).Round(time.Millisecond))
		}
	})
	traffic.check(t, s)
	require.Empty(t, rolled.failed, "requests that failed during a rolling restart")
}

// during makes one fault while the load runs, and reports what clients noticed.
func (l *traffic) during(t *testing.T, what string, fault func(*testing.T, context.Context)) figures {
	t.Helper()
	var seen figures
	ok := t.Run(what, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), cutFor+4*healthyWithin)
		defer cancel()
		// At no particular moment of the load.
		load.Pause(t, time.Second, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)))
		began := time.Now()
		fault(t, ctx)
		l.outages = append(l.outages, load.Outage{From: began, To: time.Now()})
		load.Pause(t, recovered, nil)
		seen = l.meter.since(began)
		t.Logf("%s: %s", what, seen)
		for _, failure := range seen.failed {
			t.Log(failure)
		}
		require.Less(t, seen.gap, gapAllowed)
	})
	require.True(t, ok)

	return seen
}
