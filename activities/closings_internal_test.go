package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Ten thousand charges of one expiry are closed one after the other, as many in
// each second as a worker can bear, and what does not fit is shared out.
func TestChargesThatExpireTogetherAreClosedApart(t *testing.T) {
	t.Parallel()
	const many = 10_000
	for life, most := range map[time.Duration]time.Duration{
		time.Minute: 30 * time.Second, 8 * time.Minute: 4 * time.Minute, time.Hour: mostLate, 7 * 24 * time.Hour: mostLate,
	} {
		var c closings
		seconds := int(most / time.Second)
		expiry := time.Unix(2_000_000_000, 0).Add(300 * time.Millisecond)
		perSecond := map[int64]int{}
		last := expiry
		for n := range many {
			at := c.after(expiry, life)
			require.False(t, at.Before(expiry))
			require.Less(t, at.Sub(expiry), most)
			if n < seconds*closingsPerSecond {
				require.False(t, at.Before(last), "in the order of their opening")
				last = at
			}
			perSecond[at.Unix()]++
		}
		require.InDelta(t, seconds, len(perSecond), 1)
		for second, n := range perSecond {
			require.LessOrEqual(t, n, many/seconds+2, "%d", second)
		}
	}
}

// A charge that has its second to itself is closed at its expiry.
func TestLonelyChargeIsClosedAtItsExpiry(t *testing.T) {
	t.Parallel()
	var c closings
	expiry := time.Unix(2_000_000_000, 0)
	for range 1000 {
		expiry = expiry.Add(1100 * time.Millisecond)
		require.Equal(t, expiry, c.after(expiry, time.Hour))
	}
}

// What is remembered does not grow with the charges that there were.
func TestClosingsThatAreOverAreForgotten(t *testing.T) {
	t.Parallel()
	var c closings
	past := time.Now().Add(-24 * time.Hour)
	for n := range 3 * tidyFrom {
		c.after(past.Add(time.Duration(n)*time.Second), time.Hour)
	}
	require.Less(t, len(c.taken), tidyFrom+1)
}
