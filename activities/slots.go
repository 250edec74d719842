package activities

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// DeliveriesAtOnce is how many attempts, at all endpoints, a process makes
	// at once.
	DeliveriesAtOnce = 800
	// defaultSlots is how many of them may be at one endpoint.
	defaultSlots = 16
	// freeShare bounds an endpoint to this part of the slots that are free: the
	// fewer are, the less each endpoint gets, so that however many endpoints
	// are slow, one more finds a slot.
	freeShare = 16
	// slowReserve are the slots that no endpoint gets whose attempts are known
	// to take longer than slowAttempt.
	slowReserve = 100
	slowAttempt = 2 * time.Second
	// busyHorizon is how far ahead the slots of a busy endpoint are given out,
	// and so what a delivery may lose when the endpoint recovers.
	busyHorizon = 5 * time.Minute
	// assumedAttempt is how long attempts at an endpoint take of which nothing
	// is known.
	assumedAttempt = time.Second
)

// endpointSlots shares a process's attempts among endpoints. The zero value is
// ready. Who gets no slot comes back later instead of waiting here: a waiting
// attempt would take a slot of the worker from other endpoints. And it comes
// back when a slot should be free for it: a thousand deliveries that look every
// few seconds would keep Temporal busy with nothing.
type endpointSlots struct {
	mu      sync.Mutex
	running int
	queues  map[string]*endpointQueue
	// tidyAt is the number of queues at which those no longer needed go.
	tidyAt int
}

// endpointQueue is what is known of an endpoint while it has attempts running
// or deliveries put off.
type endpointQueue struct {
	// running are the attempts in the order in which they began.
	running []*runningAttempt
	// mean is about how long an attempt takes; 0 when none has ended.
	mean time.Duration
	// last is when the last of those that were put off comes back.
	last time.Time
}

type runningAttempt struct{ began time.Time }

// take takes a slot of the endpoint, which gets no more than most; done
// gives it back. When there is none, done is nil and wait says when to come
// back, busyHorizon at most.
func (s *endpointSlots) take(endpointID string, most int) (done func(), wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	q := s.queue(endpointID, now)
	free := DeliveriesAtOnce - s.running
	if q.mean > slowAttempt {
		free -= slowReserve
	}
	limit := min(most, max(free/freeShare, 1))
	if len(q.running) >= limit || free <= 0 {
		return nil, q.putOff(now, limit)
	}
	attempt := &runningAttempt{began: now}
	s.running++
	q.running = append(q.running, attempt)

	return func() { s.giveBack(q, attempt) }, 0
}

func (s *endpointSlots) giveBack(q *endpointQueue, ended *runningAttempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	q.running = slices.DeleteFunc(q.running, func(a *runningAttempt) bool { return a == ended })
	took := time.Since(ended.began)
	if q.mean == 0 {
		q.mean = took
	}
	q.mean += (took - q.mean) / 4
}

// putOff gives out the next slot that is not promised to anyone.
func (q *endpointQueue) putOff(now time.Time, limit int) time.Duration {
	takes := q.mean
	if takes == 0 {
		takes = assumedAttempt
	}
	next := now
	if len(q.running) > 0 {
		oldest := q.running[0].began
		// One that runs longer than any before says more than they do.
		takes = max(takes, now.Sub(oldest))
		next = oldest.Add(takes)
	}
	if q.last.After(next) {
		next = q.last
	}
	next = next.Add(takes / time.Duration(limit))
	if next.Sub(now) >= busyHorizon {
		// Not all of them at the same moment.
		return busyHorizon - rand.N(busyHorizon/2)
	}
	q.last = next

	return next.Sub(now)
}

// queue finds or makes the queue of an endpoint. Endpoints come and go; the map
// must not only grow.
func (s *endpointSlots) queue(endpointID string, now time.Time) *endpointQueue {
	if q, ok := s.queues[endpointID]; ok {
		return q
	}
	if len(s.queues) >= s.tidyAt {
		for id, q := range s.queues {
			if len(q.running) == 0 && q.last.Before(now) {
				delete(s.queues, id)
			}
		}
		s.tidyAt = 2*len(s.queues) + 100
	}
	if s.queues == nil {
		s.queues = map[string]*endpointQueue{}
	}
	q := &endpointQueue{}
	s.queues[endpointID] = q

	return q
}
