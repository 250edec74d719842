package faults_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// clients and payers set a moderate rate: some twenty charges a second.
	clients     = 4
	payers      = 4
	clientPause = 200 * time.Millisecond
	// payWithin bounds what one charge may take: an outage of the whole stack,
	// and some seconds more that the payer's channels need. One that lnd left in
	// flight without ever sending it must not keep its payer from the others.
	payWithin = 30 * time.Second
	// settleWithin bounds the end of a load: every POST answered, every charge
	// paid or given up.
	settleWithin = 3 * payWithin
)

// load creates charges and pays them until it is finished.
type load struct {
	w      *workspace
	ctx    context.Context //nolint:containedctx // It bounds the load, not a call.
	cancel context.CancelFunc
	// stop ends the making of new charges.
	stop    chan struct{}
	unpaid  chan chargeObject
	clients sync.WaitGroup
	payers  sync.WaitGroup
	// stuck counts charges that the payer could not pay.
	stuck atomic.Int32
}

func (w *workspace) startLoad(t *testing.T, s *stack) *load {
	t.Helper()
	l := &load{w: w, stop: make(chan struct{}), unpaid: make(chan chargeObject, 10_000)}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	for range clients {
		l.clients.Go(l.create)
	}
	p := newPayer(t, s)
	for range payers {
		l.payers.Go(func() {
			for charge := range l.unpaid {
				ctx, cancel := context.WithTimeout(l.ctx, payWithin)
				if w.settle(ctx, p, charge) != nil {
					l.stuck.Add(1)
				}
				cancel()
			}
		})
	}

	return l
}

// create is one client.
func (l *load) create() {
	for {
		charge, err := l.w.create(l.ctx, 1+rand.Int64N(2000))
		if err != nil {
			l.w.note(err)
		} else {
			l.unpaid <- charge
		}
		select {
		case <-l.stop:
			return
		case <-l.ctx.Done():
			return
		case <-time.After(clientPause):
		}
	}
}

// finish waits until every charge that was asked for is there and paid. An lnd
// that is killed between registering a payment and sending its HTLC may call it
// in flight for ever, so a payer may be left with one that was never sent.
func (l *load) finish(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(settleWithin, l.cancel)
	defer late.Stop()
	defer l.cancel()
	close(l.stop)
	l.clients.Wait()
	close(l.unpaid)
	l.payers.Wait()
	require.LessOrEqual(t, l.stuck.Load(), int32(payers), "charges that were never paid")
	if n := l.stuck.Load(); n > 0 {
		t.Logf("the payer's node left %d payments in flight that it never sent", n)
	}
}
