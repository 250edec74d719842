package activities

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Charges of one expiry are closed apart, each always at its own time, and before
// the sweeper would come.
func TestChargesThatExpireTogetherAreClosedApart(t *testing.T) {
	t.Parallel()
	for life, most := range map[time.Duration]time.Duration{
		time.Minute: 3 * time.Second, time.Hour: mostSpread, 24 * time.Hour: mostSpread, 0: 0,
	} {
		seconds := map[time.Duration]int{}
		for i := range 1000 {
			id := fmt.Sprint("ch_", i)
			later := spread(id, life)
			require.Equal(t, later, spread(id, life))
			require.GreaterOrEqual(t, later, time.Duration(0))
			require.LessOrEqual(t, later, most)
			seconds[later.Truncate(time.Second)]++
		}
		if most > 0 {
			require.Len(t, seconds, int(most/time.Second), "each second has its share")
		}
	}
	require.Less(t, mostSpread, time.Minute, "the sweeper comes a minute after the expiry")
}
