package activities

import "sync"

// endpointSlots counts the attempts that run at each endpoint. The zero value
// is ready. Who gets no slot comes back later instead of waiting here: a
// waiting attempt would take a slot of the worker from other endpoints.
type endpointSlots struct {
	mu    sync.Mutex
	taken map[string]int
}

// take takes one of the endpoint's slots unless limit are taken; release gives
// it back.
func (s *endpointSlots) take(endpointID string, limit int) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[endpointID] >= limit {
		return nil, false
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	s.taken[endpointID]++

	return func() { s.release(endpointID) }, true
}

func (s *endpointSlots) release(endpointID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[endpointID]--; s.taken[endpointID] == 0 {
		// Endpoints come and go; the map must not only grow.
		delete(s.taken, endpointID)
	}
}
