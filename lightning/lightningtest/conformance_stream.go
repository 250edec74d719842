package lightningtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
)

// Follower is a subscription whose events a test reads one by one.
type Follower struct {
	t      testing.TB
	events chan lightning.Invoice
	ended  chan error
	cancel context.CancelFunc
}

// Follow subscribes and returns when the subscription is open. It ends with
// the test.
func Follow(t testing.TB, node lightning.Node, cursor uint64) *Follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{t: t, events: make(chan lightning.Invoice, 1000), ended: make(chan error, 1), cancel: cancel}
	opened := make(chan struct{})
	go func() {
		f.ended <- node.SubscribeSettled(ctx, cursor, func() { close(opened) }, func(invoice lightning.Invoice) error {
			select {
			case <-opened:
			default:
				return errors.New("handled before onOpen")
			}
			f.events <- invoice

			return nil
		})
	}()
	t.Cleanup(cancel)
	select {
	case <-opened:
	case err := <-f.ended:
		t.Fatalf("the subscription ended at once: %v", err)
	case <-time.After(patience):
		t.Fatal("the subscription does not open")
	}

	return f
}

// Next waits for the next settled invoice.
func (f *Follower) Next() lightning.Invoice {
	f.t.Helper()
	select {
	case invoice := <-f.events:
		return invoice
	case err := <-f.ended:
		f.t.Fatalf("the subscription ended: %v", err)
	case <-time.After(patience):
		f.t.Fatal("no settled invoice arrives")
	}

	return lightning.Invoice{}
}

// Ended waits for the end, which is never without an error.
func (f *Follower) Ended(within time.Duration) error {
	f.t.Helper()
	select {
	case err := <-f.ended:
		require.Error(f.t, err)

		return err
	case <-time.After(within):
		f.t.Fatalf("the subscription still runs after %s", within)
	}

	return nil
}

// Stop ends the subscription.
func (f *Follower) Stop() error {
	f.t.Helper()
	f.cancel()

	return f.Ended(patience)
}

func testLive(t *testing.T, s Subject) {
	follower := Follow(t, s.Node, s.paid(t).SettleIndex)
	for range 3 {
		paid := s.paid(t)
		require.Equal(t, paid, follower.Next())
	}
}

func testCursorZero(t *testing.T, s Subject) {
	s.paid(t)
	follower := Follow(t, s.Node, 0)
	paid := s.paid(t)
	require.Equal(t, paid, follower.Next(), "nothing from before")
}

func testBacklog(t *testing.T, s Subject) {
	first := s.paid(t)
	second, third := s.paid(t), s.paid(t)
	require.Greater(t, second.SettleIndex, first.SettleIndex)

	from := Follow(t, s.Node, first.SettleIndex)
	require.Equal(t, second, from.Next(), "strictly above the cursor")
	require.Equal(t, third, from.Next())

	level := Follow(t, s.Node, third.SettleIndex)
	live := s.paid(t)
	require.Equal(t, live, from.Next(), "live after the backlog")
	require.Equal(t, live, level.Next())
}

// testHighCursor is a node that went back in time, seen from the stored
// cursor: it says nothing of what settles at or below it.
func testHighCursor(t *testing.T, s Subject) {
	cursor := s.paid(t).SettleIndex + 1
	follower := Follow(t, s.Node, cursor)
	require.Equal(t, cursor, s.paid(t).SettleIndex)
	above := s.paid(t)
	require.Equal(t, above, follower.Next())
}

// testBacklogOrder: whoever stores the highest index of a backlog that is not
// in settle order, and stops in the middle, loses the rest.
func testBacklogOrder(t *testing.T, s Subject) {
	before := s.paid(t)
	older, newer := s.add(t), s.add(t)
	newer = s.pay(t, newer)
	older = s.pay(t, older)
	follower := Follow(t, s.Node, before.SettleIndex)
	got := []lightning.Invoice{follower.Next(), follower.Next()}
	if s.NativeSQL {
		require.Equal(t, []lightning.Invoice{older, newer}, got, "add order")
	} else {
		require.Equal(t, []lightning.Invoice{newer, older}, got, "settle order")
	}
}

func testHandlerEnds(t *testing.T, s Subject) {
	before := s.paid(t)
	s.paid(t)
	s.paid(t)
	stop, handled := errors.New("stop"), 0
	err := s.Node.SubscribeSettled(t.Context(), before.SettleIndex, func() {}, func(lightning.Invoice) error {
		handled++

		return stop
	})
	require.ErrorIs(t, err, stop)
	require.Equal(t, 1, handled)
}

func testContextEnds(t *testing.T, s Subject) {
	follower := Follow(t, s.Node, 0)
	require.ErrorIs(t, follower.Stop(), context.Canceled)
}
