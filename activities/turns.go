package activities

import (
	"hash/fnv"
	"sync"
	"time"
)

const (
	// expiriesAtOnce is how many charges a process closes at once: the node
	// writes one invoice at a time, and a new charge waits behind no more.
	expiriesAtOnce = 8
	// assumedExpiry is how long one takes of which nothing is known, and
	// shortestPutOff how soon one that was put off may come back.
	assumedExpiry  = 20 * time.Millisecond
	shortestPutOff = 250 * time.Millisecond
	// turnsHorizon is how far ahead turns are given out.
	turnsHorizon = 5 * time.Minute
	// Charges that expire together come apart: each waits up to this share of
	// its life longer, and not until the sweeper would come for it.
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

	return time.Duration(sum.Sum64() % uint64(most))
}

// turns bounds the expiries of a process. The zero value is ready. Who gets no
// turn comes back later, when one should be free, instead of waiting here: a
// waiting activity takes a slot of the worker from the charges that are opened.
type turns struct {
	mu      sync.Mutex
	running int
	// mean is about how long one takes; 0 when none has ended.
	mean time.Duration
	// putOff is when those come back that got no turn, last the latest of it.
	putOff map[string]time.Time
	last   time.Time
}

// take takes a turn; done gives it back. When there is none, done is nil and
// wait says when to come back.
func (t *turns) take(id string, now time.Time) (done func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, waited := t.putOff[id]
	// Whoever waited goes before who comes only now.
	if t.running < expiriesAtOnce && (waited || !t.last.After(now)) {
		delete(t.putOff, id)
		t.running++

		return func() { t.done(now) }, 0
	}
	if t.putOff == nil {
		t.putOff = map[string]time.Time{}
	}
	t.tidy(now)
	if waited && !at.After(now) {
		// It has waited for its turn: the next that is free is its own.
		at = now.Add(shortestPutOff)
	} else if !waited {
		first := now.Add(shortestPutOff)
		if t.last.Before(first) {
			t.last = first
		}
		t.last = t.last.Add(max(t.mean, assumedExpiry) / expiriesAtOnce)
		if most := now.Add(turnsHorizon); t.last.After(most) {
			t.last = most
		}
		at = t.last
	}
	t.putOff[id] = at

	return nil, max(at.Sub(now), shortestPutOff)
}

// done notes how long a turn took.
func (t *turns) done(began time.Time) {
	took := time.Since(began)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if t.mean == 0 {
		t.mean = took
	}
	t.mean += (took - t.mean) / 8
}

// tidy forgets those that did not come back, such as what was paid meanwhile.
func (t *turns) tidy(now time.Time) {
	if len(t.putOff) == 0 || now.Before(t.last.Add(turnsHorizon)) {
		return
	}
	clear(t.putOff)
}
