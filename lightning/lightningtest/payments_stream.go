package lightningtest

import (
	"context"
	"fmt"

	"github.com/lntpay/lntpay/lightning"
)

// paymentStream is one subscription of SubscribePayments.
type paymentStream struct {
	queue  []lightning.Payment
	broken error
	wake   chan struct{}
}

func (s *paymentStream) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// SubscribePayments implements lightning.Node: as with lnd, first what is in
// flight with an HTLC, then live changes.
func (n *Node) SubscribePayments(ctx context.Context, onOpen func(), handle func(lightning.Payment) error) error {
	s := &paymentStream{wake: make(chan struct{}, 1)}
	err := n.do(ctx, SubscribePayments, func() error {
		for _, p := range n.byPaymentIndex() {
			if p.Pending > 0 {
				s.queue = append(s.queue, p)
				s.nudge()
			}
		}
		n.paymentStreams[s] = struct{}{}

		return nil
	})
	defer func() {
		n.mu.Lock()
		delete(n.paymentStreams, s)
		n.mu.Unlock()
	}()
	if err != nil {
		return err
	}
	onOpen()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		}
		if err := n.drainPayments(ctx, s, handle); err != nil {
			return err
		}
	}
}

// drainPayments hands the queue to the handler. A broken stream loses what it
// had queued.
func (n *Node) drainPayments(ctx context.Context, s *paymentStream, handle func(lightning.Payment) error) error {
	for {
		n.mu.Lock()
		if s.broken != nil || len(s.queue) == 0 {
			broken := s.broken
			n.mu.Unlock()

			return broken
		}
		next := s.queue[0]
		s.queue = s.queue[1:]
		n.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := handle(next); err != nil {
			return fmt.Errorf("lightningtest: payments: %w", err)
		}
	}
}
