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
	// longest bounds a fault with its recovery.
	longest = 15 * time.Minute
	// failuresShown is how many failures are shown one by one.
	failuresShown = 10
	// gapAllowed is for how long no request may succeed while one of a pair is
	// gone. It is no promise: a client waits 15 s for an answer, of which a proxy
	// that does not know yet may take all, and an api waits 10 s for a worker, of
	// whose absence Temporal hears only when its connection is silent for 15 s.
	gapAllowed = 30 * time.Second
)

// both are the containers of which there are two.
var both = []string{compose.API1, compose.API2, compose.Worker1, compose.Worker2}

// pairs are the pairs whose network is cut.
var pairs = []struct{ one, other string }{
	{compose.API1, compose.Postgres}, {compose.API1, compose.Temporal},
	{compose.Worker1, compose.Postgres}, {compose.Worker1, compose.Temporal},
	{compose.Worker1, compose.LndMerchant}, {compose.LndMerchant, compose.LndPayer},
	{compose.Temporal, compose.Postgres},
}

// TestFaults takes away each of the api and of the workers under load, by a kill
// and by cutting its network, and restarts all four one after another, as
// docs/deployment/compose.md says, and cuts the network between each pair; then it
// compares what clients were told with the database, the books and both nodes.
// `make soak` adds what takes minutes.
func TestFaults(t *testing.T) {
	p, s := open(t)
	traffic := startTraffic(t, p, s)
	for _, service := range both {
		traffic.during(t, "kill "+service, gapAllowed, func(t *testing.T, ctx context.Context) {
			require.NoError(t, p.Kill(ctx, service))
			load.Pause(t, deadFor, nil)
			require.NoError(t, p.Start(ctx, service))
			require.NoError(t, p.WaitHealthy(ctx, service))
		})
	}
	for _, pair := range [][]string{{compose.API1, compose.Worker1}, {compose.API2, compose.Worker2}} {
		traffic.during(t, "cut "+pair[0]+" and "+pair[1], gapAllowed, func(t *testing.T, ctx context.Context) {
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
	rolled := traffic.during(t, "rolling restart", gapAllowed, func(t *testing.T, ctx context.Context) {
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
	traffic.cutPairs(t, p)
	traffic.takeLong(t, p, s)
	traffic.check(t, s)
	require.Empty(t, rolled.Failed, "requests that failed during a rolling restart")
}

// during makes one fault while the load runs, and reports what clients noticed.
// In no more than the allowed gap, where there is one, every request may fail.
func (l *traffic) during(t *testing.T, what string, gap time.Duration, fault func(*testing.T, context.Context)) load.Figures {
	t.Helper()
	var seen load.Figures
	ok := t.Run(what, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), longest)
		defer cancel()
		// At no particular moment of the load.
		load.Pause(t, time.Second, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)))
		began := time.Now()
		fault(t, ctx)
		end := time.Now()
		l.outages = append(l.outages, load.Outage{From: began, To: end})
		load.Pause(t, recovered, nil)
		seen = l.meter.Since(began)
		t.Logf("%s, for %s: %s", what, end.Sub(began).Round(time.Millisecond), seen)
		for _, failure := range seen.Failed[:min(len(seen.Failed), failuresShown)] {
			t.Log(failure)
		}
		// `make soak` runs beside anything else.
		if gap > 0 && !load.Soak() {
			require.Less(t, seen.Gap, gap)
		}
	})
	require.True(t, ok)

	return seen
}
