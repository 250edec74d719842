package activities

import (
	"hash/fnv"
	"time"
)

// Charges that expire together come apart: each waits up to this share of its
// life longer, and not until the sweeper would come for it.
const (
	spreadShare = 20
	mostSpread  = 50 * time.Second
)

// spread is how much later than its expiry a charge is closed. It is the same
// each time, since a timer is kept for it.
func spread(id string, life time.Duration) time.Duration {
	most := min(life/spreadShare, mostSpread)
	if most <= 0 {
		return 0
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(id))

	return time.Duration(sum.Sum64() % uint64(most)).Truncate(time.Millisecond)
}
