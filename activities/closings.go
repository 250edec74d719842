package activities

import (
	"sync"
	"time"
)

// Charges that expire together are closed one after the other: a worker whose
// runs all wake at once keeps Temporal's queue, and with it every new charge,
// waiting until they are done.
const (
	// closingsPerSecond is how many of the charges that it opens a worker wakes
	// in a second. Two workers' are half of what two cores close.
	closingsPerSecond = 20
	// mostLate is how long after its expiry a charge is closed at the latest;
	// half its life, where that is less. What does not fit in is shared out
	// evenly.
	mostLate = 5 * time.Minute
)

// closings are the seconds in which charges will be closed, and how many in
// each. The zero value is ready. It is kept in memory: who starts again does not
// know of those from before, and gives as many beside them.
type closings struct {
	mu    sync.Mutex
	taken map[int64]int
	// beyond counts those for whom there was no place.
	beyond int
	// tidyAt is the number of seconds at which those that are over go.
	tidyAt int
}

// tidyFrom is the least number of seconds for which it is worth it.
const tidyFrom = 4096

// after gives a charge that lives so long its place: at its expiry, or at the
// next moment that is free.
func (c *closings) after(expiry time.Time, life time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tidy()
	most := max(int64(min(life/2, mostLate)/time.Second), 1)
	for second := expiry.Unix(); second < expiry.Unix()+most; second++ {
		n := c.taken[second]
		if n == closingsPerSecond {
			continue
		}
		c.taken[second]++
		place := time.Unix(second, 0).Add(time.Duration(n) * time.Second / closingsPerSecond)
		if place.Before(expiry) {
			return expiry
		}

		return place
	}
	c.beyond++

	return expiry.Add(time.Duration(int64(c.beyond)%most) * time.Second)
}

// tidy keeps what is remembered at about what is open.
func (c *closings) tidy() {
	if c.taken == nil {
		c.taken, c.tidyAt = map[int64]int{}, tidyFrom
	}
	if len(c.taken) < c.tidyAt {
		return
	}
	now := time.Now().Unix()
	for second := range c.taken {
		if second < now {
			delete(c.taken, second)
		}
	}
	c.tidyAt = 2*len(c.taken) + tidyFrom
}
