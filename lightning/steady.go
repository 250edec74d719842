package lightning

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// steadiness is for how long a node has answered well. A conclusion from what
// a node does not know is drawn only after some of it: right after a restart,
// or behind a broken connection, a payment may still be on its way in.
type steadiness struct {
	mu sync.Mutex
	// trouble counts the breaks, so that an answer to a question from before
	// the last one does not count.
	trouble uint64
	// since is zero after trouble; time.Now's monotonic clock.
	since time.Time
}

// begin is taken before a question, for judge and good.
func (s *steadiness) begin() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.trouble
}

// broke is a new connection, or an answer without a meaning.
func (s *steadiness) broke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble++
	s.since = time.Time{}
}

// good is an answer to a question that began then.
func (s *steadiness) good(began uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if began == s.trouble && s.since.IsZero() {
		s.since = time.Now()
	}
}

// judge takes the end of a unary call, and gives its error back. The caller's
// own cancellation says nothing about the node.
func (s *steadiness) judge(began uint64, err error) error {
	switch {
	case err == nil, definite(err):
		s.good(began)
	case errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
	default:
		s.broke()
	}

	return err
}

// lasted is how long it has been good.
func (s *steadiness) lasted() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return 0
	}

	return time.Since(s.since)
}

// definite reports whether an error is lnd's own answer about the thing asked
// for, as good as any other answer.
func definite(err error) bool {
	switch status.Code(err) {
	case codes.NotFound, codes.AlreadyExists:
		return true
	default:
		return refused(err) || saysAny(err, textDuplicate, textNotFound, textNoInvoices,
			textAlreadySettled, textAlreadyCanceled, textNoPath, textNoBalance)
	}
}

// SteadyFor implements Node. It is 0 until a call that was begun after the
// last trouble has been answered.
func (n *lnd) SteadyFor() time.Duration { return n.steady.lasted() }
