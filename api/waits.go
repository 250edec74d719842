package api

import (
	"fmt"
	"sync"
)

// waits counts the long-polls and streams that are open in this process, by key
// and by workspace: they last, so a rate does not bound them.
type waits struct {
	mu     sync.Mutex
	counts map[string]int
}

func newWaits() *waits { return &waits{counts: map[string]int{}} }

// enter counts one more unless there are as many as the limit; 0 is no limit.
func (w *waits) enter(id string, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if limit > 0 && w.counts[id] >= limit {
		return false
	}
	w.counts[id]++

	return true
}

func (w *waits) leave(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts[id]--; w.counts[id] == 0 {
		delete(w.counts, id)
	}
}

// beginWait counts a long-poll or a stream of the caller; end it.
func (s *Server) beginWait(c *call) (end func(), err error) {
	own, counted := c.env.limits.of(c.Request.Context(), c.key.workspaceID), c.env.limits.waits
	if !counted.enter(c.key.id, own.KeyWaits) {
		return nil, s.rateLimited(limitedByKeyWaits, fmt.Sprintf(
			"This API key may have %d long-polls and event streams open at a time.", own.KeyWaits))
	}
	if !counted.enter(c.key.workspaceID, own.WorkspaceWaits) {
		counted.leave(c.key.id)

		return nil, s.rateLimited(limitedByWorkspaceWaits, fmt.Sprintf(
			"This workspace may have %d long-polls and event streams open at a time.", own.WorkspaceWaits))
	}

	return func() {
		counted.leave(c.key.workspaceID)
		counted.leave(c.key.id)
	}, nil
}
