package webhooks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

func TestNextDelay(t *testing.T) {
	t.Parallel()
	want := []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	require.Equal(t, len(want), webhooks.MaxAttempts())
	at := func(f float64) func() float64 { return func() float64 { return f } }
	for made, base := range want {
		for jitter, share := range map[float64]float64{0: 0.8, 0.5: 1, 1: 1.2} {
			got, ok := webhooks.NextDelay(made, at(jitter), 0)
			require.True(t, ok)
			require.InDelta(t, float64(base)*share, float64(got), 1000, "after %d attempts", made)
		}
	}
	for _, made := range []int{-1, len(want), len(want) + 1} {
		_, ok := webhooks.NextDelay(made, at(0.5), time.Hour)
		require.False(t, ok, "after %d attempts", made)
	}
}

func TestNextDelayRetryAfter(t *testing.T) {
	t.Parallel()
	middle := func() float64 { return 0.5 }
	for _, tt := range []struct {
		made              int
		retryAfter, delay time.Duration
	}{
		{1, time.Second, 5 * time.Second},
		{1, time.Minute, time.Minute},
		{9, time.Minute, 24 * time.Hour},
		{1, 48 * time.Hour, 24 * time.Hour},
	} {
		got, ok := webhooks.NextDelay(tt.made, middle, tt.retryAfter)
		require.True(t, ok)
		require.Equal(t, tt.delay, got)
	}
}
