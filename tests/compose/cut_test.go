package compose_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/compose"
	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/tests/regtest"
)

// lostFor is for how long a pair loses its packets: in `make soak` for longer
// than everything of ours waits for an answer (20 s).
func lostFor() time.Duration {
	if load.Soak() {
		return 40 * time.Second
	}

	return 10 * time.Second
}

// twins are the containers beside which there is another.
var twins = map[string]string{compose.API1: compose.API2, compose.Worker1: compose.Worker2}

// cutPairs loses every packet between each pair, one pair after the other, and in
// `make soak` between both of two twins and the other.
func (l *traffic) cutPairs(t *testing.T, p *compose.Project) {
	t.Helper()
	if os.Geteuid() != 0 {
		require.NoError(t, regtest.ReportNotProven("cut networks between pairs of containers: only root can"))

		return
	}
	for _, pair := range pairs {
		l.during(t, "lose packets between "+pair.one+" and "+pair.other, 0, func(t *testing.T, ctx context.Context) {
			l.lose(ctx, t, p, []string{pair.one}, pair.other)
		})
		twin := twins[pair.one]
		if twin == "" || !load.Soak() {
			continue
		}
		l.during(t, "lose packets between "+pair.one+", "+twin+" and "+pair.other, 0, func(t *testing.T, ctx context.Context) {
			l.lose(ctx, t, p, []string{pair.one, twin}, pair.other)
		})
	}
}

// lose loses packets between each of some and another for a while, and waits until
// everything is well.
func (l *traffic) lose(ctx context.Context, t *testing.T, p *compose.Project, some []string, other string) {
	t.Helper()
	var heals []func() error
	heal := func() {
		for _, one := range heals {
			require.NoError(t, one())
		}
		heals = nil
	}
	t.Cleanup(heal)
	for _, one := range some {
		healed, err := p.Lose(ctx, one, other)
		require.NoError(t, err)
		heals = append(heals, healed)
	}
	load.Pause(t, lostFor(), nil)
	heal()
	l.awaitWell(ctx, t, p)
}

// awaitWell waits until charges are made again, both api and workers are healthy
// and the channels active.
func (l *traffic) awaitWell(ctx context.Context, t *testing.T, p *compose.Project) {
	t.Helper()
	began := time.Now()
	var created time.Duration
	require.Eventually(t, func() (ok bool) {
		created, ok = l.meter.Created(began)

		return ok
	}, longest, load.Poll, "no charge can be made any more")
	for _, service := range both {
		require.NoError(t, p.WaitHealthy(ctx, service))
	}
	healthy := time.Now()
	require.NoError(t, p.WaitChannels(ctx))
	t.Logf("the first charge came %s after the end of the fault; all were healthy after %s, the channels active after %s",
		created.Round(time.Millisecond), healthy.Sub(began).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}
