package activities

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Ten thousand that expire at once are put off, each about once, and end in
// about the time that their turns take, some at a time and no more.
func TestTurnsOfABurst(t *testing.T) {
	t.Parallel()
	const burst, tick, ticksEach = 10_000, 10 * time.Millisecond, 2
	var all turns
	now := time.Now()
	due := map[int64][]string{}
	for i := range burst {
		due[0] = append(due[0], fmt.Sprint(i))
	}
	running := map[int64][]func(){}
	asked, ended, at := 0, 0, int64(0)
	for ; ended < burst && at < 100_000; at++ {
		for _, done := range running[at] {
			done()
			all.mean = ticksEach * tick // By the test's clock, not by the machine's.
			ended++
		}
		for _, id := range due[at] {
			asked++
			done, wait := all.take(id, now.Add(time.Duration(at)*tick))
			if done != nil {
				running[at+ticksEach] = append(running[at+ticksEach], done)

				continue
			}
			require.GreaterOrEqual(t, wait, shortestPutOff)
			later := at + int64(wait/tick) + 1
			due[later] = append(due[later], id)
		}
		delete(due, at)
		require.LessOrEqual(t, all.running, expiriesAtOnce)
	}
	require.Equal(t, burst, ended)
	require.Empty(t, all.putOff)
	atBest := burst * ticksEach / expiriesAtOnce
	require.Less(t, at, int64(2*atBest+100), "at best %d", atBest)
	require.Less(t, asked, 3*burst)
}

// A charge that comes alone is closed at once, also after a burst.
func TestATurnIsFreeWhenNobodyWaits(t *testing.T) {
	t.Parallel()
	var all turns
	now := time.Now()
	for range 3 * expiriesAtOnce {
		done, wait := all.take("alone", now)
		require.NotNil(t, done)
		require.Zero(t, wait)
		done()
	}
	for i := range 2 * expiriesAtOnce {
		all.take(fmt.Sprint(i), now)
	}
	require.Len(t, all.putOff, expiriesAtOnce)
	for range expiriesAtOnce {
		all.done(now)
	}
	done, _ := all.take("later", now.Add(time.Hour))
	require.NotNil(t, done)
	// What never came back is forgotten in time.
	for i := range expiriesAtOnce {
		all.take(fmt.Sprint("x", i), now.Add(time.Hour))
	}
	require.Len(t, all.putOff, 1)
}

func TestSpread(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for i := range 1000 {
		id := fmt.Sprint(i)
		late := spread(id, time.Hour)
		require.Equal(t, late, spread(id, time.Hour))
		require.True(t, late >= 0 && late < mostSpread)
		require.Less(t, spread(id, time.Minute), 3*time.Second)
		sum += late
	}
	require.InDelta(t, mostSpread.Seconds()/2, (sum / 1000).Seconds(), 2)
	require.Zero(t, spread("x", 0))
}
