package model

import (
	"hash/fnv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning/lightningtest"
)

// Something was due 333 ns after now. The clock has microseconds, was set to
// where it was, and a seed went on for ever.
func TestClockMovesByLessThanAMicrosecond(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{1, 333, time.Microsecond, time.Second + 1} {
		w := &world{now: epochStart, trace: fnv.New64a(), node: lightningtest.New("merchant")}
		w.advanceBy(by)
		moved := w.now.Sub(epochStart)
		require.GreaterOrEqual(t, moved, by)
		require.Less(t, moved-by, time.Microsecond)
		require.Equal(t, moved, moved.Truncate(time.Microsecond))
	}
}
