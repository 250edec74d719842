package ratelimit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/ratelimit"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
)

// counted counts what is asked of Postgres.
type counted struct {
	ratelimit.Taker

	asked atomic.Int64
	err   error
}

func (c *counted) TakeTokens(ctx context.Context, arg db.TakeTokensParams) (db.TakeTokensRow, error) {
	c.asked.Add(1)
	if c.err != nil {
		return db.TakeTokensRow{}, c.err
	}

	return c.Taker.TakeTokens(ctx, arg)
}

// TestSharedRate: two processes that ask as fast as they can let through what
// the package says, and no less than the rate.
func TestSharedRate(t *testing.T) {
	t.Parallel()
	const processes, callers = 2, 4
	rate := ratelimit.Rate{PerSecond: 200, Burst: 100}
	taker := &counted{Taker: storetest.New(t).Queries}
	var through atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for range processes {
		limiter := ratelimit.New(taker)
		for range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					taken := limiter.Take(ctx, "key/test", rate)
					if taken.Err != nil {
						t.Error(taken.Err)

						return
					}
					if taken.Allowed {
						through.Add(1)
					} else {
						time.Sleep(min(taken.RetryAfter, 5*time.Millisecond))
					}
				}
			})
		}
	}
	all.Wait()
	took := time.Since(began).Seconds()
	most := float64(rate.Size()) + took*float64(rate.PerSecond) + float64(processes*rate.Block())
	t.Logf("%d let through in %.2f s, at most %.0f, by %d questions", through.Load(), took, most, taker.asked.Load())
	require.LessOrEqual(t, float64(through.Load()), most)
	// What was taken and not used is within the blocks too.
	require.Greater(t, float64(through.Load()), float64(rate.Size())+0.7*took*float64(rate.PerSecond))
	require.Less(t, taker.asked.Load(), through.Load()/2)
}

// TestBlocks: a process that takes a block answers from it, and a refusal is
// remembered, so that neither costs a question.
func TestBlocks(t *testing.T) {
	t.Parallel()
	taker := &counted{Taker: storetest.New(t).Queries}
	limiter, other := ratelimit.New(taker), ratelimit.New(taker)
	rate := ratelimit.Rate{PerSecond: 40, Burst: 80}
	require.Equal(t, 4, rate.Block())
	require.Equal(t, 2, rate.Window())
	for range rate.Block() {
		require.True(t, limiter.Take(t.Context(), "a", rate).Allowed)
	}
	require.EqualValues(t, 1, taker.asked.Load())
	slow := ratelimit.Rate{PerSecond: 1, Burst: 2}
	require.True(t, limiter.Take(t.Context(), "b", slow).Allowed)
	require.True(t, other.Take(t.Context(), "b", slow).Allowed)
	refused := limiter.Take(t.Context(), "b", slow)
	require.False(t, refused.Allowed)
	require.Positive(t, refused.RetryAfter)
	require.LessOrEqual(t, refused.RetryAfter, time.Second)
	asked := taker.asked.Load()
	require.False(t, limiter.Take(t.Context(), "b", slow).Allowed)
	require.Equal(t, asked, taker.asked.Load())
	limiter.Return("b")
	require.True(t, limiter.Take(t.Context(), "b", slow).Allowed)
}

// TestOpenWithoutPostgres: nothing is limited, and nobody waits for a second.
func TestOpenWithoutPostgres(t *testing.T) {
	t.Parallel()
	taker := &counted{err: errors.New("away")}
	limiter := ratelimit.New(taker)
	first := limiter.Take(t.Context(), "a", ratelimit.Rate{PerSecond: 1})
	require.True(t, first.Allowed)
	require.Error(t, first.Err)
	second := limiter.Take(t.Context(), "a", ratelimit.Rate{PerSecond: 1})
	require.True(t, second.Allowed)
	require.NoError(t, second.Err)
	require.EqualValues(t, 1, taker.asked.Load())
}
