package lightningtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lntpay/lntpay/lightning"
)

// stream is one subscription. Its queue has no bound, like lnd's own.
type stream struct {
	// cursor is the highest settle index sent; nothing live at or below it
	// is.
	cursor uint64
	queue  []lightning.Invoice
	broken error
	// wake has room for one: the queue or broken has changed.
	wake chan struct{}
}

func (s *stream) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// SubscribeSettled implements lightning.Node with lnd's rules: cursor 0
// replays nothing; another one replays what settled after it, and leaves out
// the first of those when the cursor itself falls into a gap (bbolt only).
func (n *Node) SubscribeSettled(
	ctx context.Context, settleCursor uint64, onOpen func(), handle func(lightning.Invoice) error,
) error {
	s := &stream{cursor: settleCursor, wake: make(chan struct{}, 1)}
	err := n.do(ctx, SubscribeSettled, func() error {
		s.queue = n.backlog(settleCursor)
		n.streams[s] = struct{}{}
		s.nudge()

		return nil
	})
	defer func() {
		n.mu.Lock()
		delete(n.streams, s)
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
		if err := n.drain(ctx, s, handle); err != nil {
			return err
		}
	}
}

// drain hands the queue to the handler. A broken stream loses what it had
// queued.
func (n *Node) drain(ctx context.Context, s *stream, handle func(lightning.Invoice) error) error {
	for {
		n.mu.Lock()
		if s.broken != nil || len(s.queue) == 0 {
			broken := s.broken
			n.mu.Unlock()

			return broken
		}
		invoice := s.queue[0]
		s.queue = s.queue[1:]
		times := 1 + n.duplicates
		n.mu.Unlock()
		for range times {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := handle(invoice); err != nil {
				return fmt.Errorf("lightningtest: settled invoices: %w", err)
			}
		}
	}
}

// Backlog is what a subscription from a cursor begins with.
func (n *Node) Backlog(cursor uint64) []lightning.Invoice {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.backlog(cursor)
}

// backlog is what lnd replays for a cursor.
func (n *Node) backlog(cursor uint64) []lightning.Invoice {
	if cursor == 0 {
		return nil
	}
	var settled []lightning.Invoice
	for _, invoice := range n.byAddIndex() {
		if invoice.SettleIndex > cursor {
			settled = append(settled, invoice)
		}
	}
	if n.addOrder {
		return settled
	}
	slices.SortFunc(settled, func(a, b lightning.Invoice) int { return cmp.Compare(a.SettleIndex, b.SettleIndex) })
	// bbolt seeks the cursor, which lands on the next entry when there is none
	// at the cursor, and then steps over it.
	entry, exact := slices.BinarySearch(n.entries, cursor)
	if !exact && entry < len(n.entries) {
		settled = slices.DeleteFunc(settled, func(i lightning.Invoice) bool { return i.SettleIndex == n.entries[entry] })
	}

	return settled
}

// publish sends a settled invoice to the streams, or holds it back.
func (n *Node) publish(invoice lightning.Invoice) {
	if n.holding {
		n.held = append(n.held, invoice)

		return
	}
	for s := range n.streams {
		if s.cursor >= invoice.SettleIndex {
			continue
		}
		s.cursor = invoice.SettleIndex
		s.queue = append(s.queue, invoice)
		s.nudge()
	}
}

// BreakStreams ends all subscriptions with ErrLost, and each SendPayment that
// still waits. What they had not handed over is lost to them.
func (n *Node) BreakStreams() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breakStreams(ErrLost)
}

func (n *Node) breakStreams(err error) {
	for s := range n.streams {
		s.broken = err
		s.nudge()
	}
	for s := range n.paymentStreams {
		s.broken = err
		s.nudge()
	}
	close(n.broken)
	n.broken = make(chan struct{})
}

// SetNativeSQL switches the backlog to add order without the loss at gaps, as
// lnd's native SQL has it, and payment indexes to SQLite's: the newest is
// given again when its payment is replaced.
func (n *Node) SetNativeSQL(native bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addOrder = native
}

// SetDuplicates sends everything so many times more.
func (n *Node) SetDuplicates(more int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.duplicates = more
}

// Hold keeps back what settles from now on. A stream opened meanwhile has it
// in its backlog and gets it again.
func (n *Node) Hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holding = true
}

// Release sends what was held, in the order that the caller gives it (nil:
// as it settled), to every stream, whatever its cursor.
func (n *Node) Release(order func([]lightning.Invoice)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if order != nil {
		order(n.held)
	}
	for s := range n.streams {
		for _, invoice := range n.held {
			s.cursor = max(s.cursor, invoice.SettleIndex)
			s.queue = append(s.queue, invoice)
		}
		s.nudge()
	}
	n.holding, n.held = false, nil
}

// SkipSettleIndexes makes a gap, as lnd has (issue 7071).
func (n *Node) SkipSettleIndexes(count uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.highest.Settle += count
}
