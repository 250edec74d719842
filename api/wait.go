package api

import (
	"context"
	"time"
)

// maxWait is the longest long-poll.
const maxWait = 60 * time.Second

// readWait reads the parameter of a long-poll.
func readWait(c *call) (time.Duration, error) {
	q, err := readQuery(c)
	if err != nil {
		return 0, err
	}
	wait := time.Duration(q.number("wait", 0, int(maxWait/time.Second), 0)) * time.Second

	return wait, q.result()
}

// await reads what the path names until it is done or the wait is over. The
// subscription comes before the first read, so no wake is lost between; a wake
// says only that reading again is worth it.
func await[Row any](s *Server, c *call, wait time.Duration, read func() (Row, error), done func(Row) bool) (Row, error) {
	if wait == 0 {
		return read()
	}
	var none Row
	end, err := s.beginWait(c)
	if err != nil {
		return none, err
	}
	defer end()
	wake, unsubscribe, ok := c.env.watcher.subscribe(c.Param("id"))
	if !ok {
		return none, errUnavailable
	}
	defer unsubscribe()
	s.metrics.waiters.Inc()
	defer s.metrics.waiters.Dec()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for over := false; ; {
		row, err := read()
		if err != nil || over || done(row) {
			return row, err
		}
		select {
		case <-wake:
		case <-timer.C:
			over = true
		case <-s.stopping:
			over = true
		case <-c.Request.Context().Done():
			return none, context.Cause(c.Request.Context())
		}
	}
}
