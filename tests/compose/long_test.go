package compose_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/tests/compose"
	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/tests/suite"
)

const (
	// stillFor is for how long a container stands still: longer than it may send a
	// payment after its licence, and than others wait before they take over.
	stillFor = 40 * time.Second
	// temporalAway is for how long there is no Temporal.
	temporalAway = 2 * time.Minute
	// backlog are charges that are paid while nobody watches the node.
	backlog                      = 1000
	backlogMakers, backlogPayers = 8, 8
	drainedWithin                = 10 * time.Minute
)

// takeLong makes the faults that take minutes.
func (l *traffic) takeLong(t *testing.T, p *compose.Project, s *suite.Stack) {
	t.Helper()
	if !load.Soak() {
		t.Run("faults of minutes", load.SkipUnlessSoak)

		return
	}
	for _, service := range []string{compose.Worker1, compose.API1} {
		l.during(t, "pause "+service, 0, func(t *testing.T, ctx context.Context) {
			require.NoError(t, p.Pause(ctx, service))
			load.Pause(t, stillFor, nil)
			require.NoError(t, p.Resume(ctx, service))
			l.awaitWell(ctx, t, p)
		})
	}
	l.during(t, "Temporal is away", 0, func(t *testing.T, ctx context.Context) {
		require.NoError(t, p.Stop(ctx, compose.Temporal))
		load.Pause(t, temporalAway, nil)
		require.NoError(t, p.Start(ctx, compose.Temporal))
		l.awaitWell(ctx, t, p)
	})
	made := l.makeBacklog(t)
	l.during(t, "lnd starts anew with a backlog", 0, func(t *testing.T, ctx context.Context) { l.drain(ctx, t, p, s, made) })
}

// makeBacklog makes charges that nobody pays yet.
func (l *traffic) makeBacklog(t *testing.T) []load.ChargeObject {
	t.Helper()
	made := make([]load.ChargeObject, backlog)
	began := time.Now()
	var next atomic.Int32
	var group errgroup.Group
	for range backlogMakers {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < backlog; i = next.Add(1) - 1 {
				var err error
				if made[i], err = l.charges.Create(t.Context(), 1); err != nil {
					return err
				}
			}

			return nil
		})
	}
	require.NoError(t, group.Wait())
	t.Logf("%d charges were made in %s", backlog, time.Since(began).Round(time.Millisecond))

	return made
}

// drain has the backlog paid without a worker, starts the node anew and then the
// workers, and waits until all of it is credited.
func (l *traffic) drain(ctx context.Context, t *testing.T, p *compose.Project, s *suite.Stack, made []load.ChargeObject) {
	t.Helper()
	for _, service := range []string{compose.Worker1, compose.Worker2} {
		require.NoError(t, p.Stop(ctx, service))
	}
	payer, began := load.NewPayer(t, l.target), time.Now()
	var paying errgroup.Group
	paying.SetLimit(backlogPayers)
	ids := make([]string, len(made))
	for i, charge := range made {
		ids[i] = charge.ID
		paying.Go(func() error { return l.charges.Settle(ctx, payer, charge) })
	}
	require.NoError(t, paying.Wait())
	t.Logf("%d charges were paid in %s, without a worker", len(made), time.Since(began).Round(time.Millisecond))
	require.Zero(t, l.credited(t, s, ids))
	require.NoError(t, p.Restart(ctx, compose.LndMerchant))
	require.NoError(t, p.WaitChannels(ctx))
	began = time.Now()
	for _, service := range []string{compose.Worker1, compose.Worker2} {
		require.NoError(t, p.Start(ctx, service))
	}
	var first time.Duration
	require.Eventually(t, func() bool {
		n := l.credited(t, s, ids)
		if n > 0 && first == 0 {
			first = time.Since(began)
		}

		return n == len(ids)
	}, drainedWithin, load.Poll, "a backlog that is not credited")
	t.Logf("all %d were credited %s after the workers were started, the first after %s", len(ids),
		time.Since(began).Round(time.Millisecond), first.Round(time.Millisecond))
	l.awaitWell(ctx, t, p)
}

// credited counts the charges that are paid.
func (l *traffic) credited(t *testing.T, s *suite.Stack, ids []string) (n int) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(t.Context(),
		"SELECT count(*) FROM charge WHERE id = ANY ($1) AND status = 'paid'", ids).Scan(&n))

	return n
}
