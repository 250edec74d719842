package load

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// Clients make charges, each one after the other: with ClientPause a moderate
	// rate, some twenty a second.
	Clients = 4
	// ClientPause is what a client waits between two charges.
	ClientPause = 200 * time.Millisecond
	// Payers pay what the clients made, one charge at a time each.
	Payers = 4
	// PayWithin bounds what one charge may take: an outage of the whole stack,
	// and some seconds more that the payer's channels need. One that lnd left in
	// flight without ever sending it must not keep its payer from the others.
	PayWithin = 30 * time.Second
	// settleWithin bounds the end of a load: every POST answered, every charge
	// paid or given up.
	settleWithin = 3 * PayWithin
)

// Load creates charges and pays them until it is finished.
type Load struct {
	w      *Workspace
	ctx    context.Context //nolint:containedctx // It bounds the load, not a call.
	cancel context.CancelFunc
	// stop ends the making of new charges.
	stop    chan struct{}
	unpaid  chan ChargeObject
	clients sync.WaitGroup
	payers  sync.WaitGroup
	// stuck counts charges that the payer could not pay.
	stuck atomic.Int32
}

// StartLoad has so many clients make charges, each with a pause between two.
func (w *Workspace) StartLoad(t *testing.T, s Target, clients int, pause time.Duration) *Load {
	t.Helper()
	l := &Load{w: w, stop: make(chan struct{}), unpaid: make(chan ChargeObject, 10_000)}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	for range clients {
		l.clients.Go(func() { l.create(pause) })
	}
	p := NewPayer(t, s)
	for range Payers {
		l.payers.Go(func() {
			for charge := range l.unpaid {
				ctx, cancel := context.WithTimeout(l.ctx, PayWithin)
				if w.Settle(ctx, p, charge) != nil {
					l.stuck.Add(1)
				}
				cancel()
			}
		})
	}

	return l
}

// create is one client.
func (l *Load) create(pause time.Duration) {
	for {
		charge, err := l.w.Create(l.ctx, 1+rand.Int64N(2000))
		if err != nil {
			l.w.Note(err)
		} else {
			l.unpaid <- charge
		}
		select {
		case <-l.stop:
			return
		case <-l.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Finish waits until every charge that was asked for is there and paid. An lnd
// that is killed between registering a payment and sending its HTLC may call it
// in flight for ever, so a payer may be left with one that was never sent.
func (l *Load) Finish(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(settleWithin, l.cancel)
	defer late.Stop()
	defer l.cancel()
	close(l.stop)
	l.clients.Wait()
	close(l.unpaid)
	l.payers.Wait()
	require.LessOrEqual(t, l.stuck.Load(), int32(Payers), "charges that were never paid")
	if n := l.stuck.Load(); n > 0 {
		t.Logf("the payer's node left %d payments in flight that it never sent", n)
	}
}

// Outage is the time from a fault to the recovery.
type Outage struct{ From, To time.Time }

// Pause lets the load run: up to d, or exactly d without a source of moments.
func Pause(t *testing.T, d time.Duration, random *rand.Rand) {
	t.Helper()
	if random != nil {
		d = time.Duration(random.Int64N(int64(d)))
	}
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// Lazy shows texts as they are when they are printed.
type Lazy struct{ Texts *[]string }

// String implements fmt.Stringer.
func (l *Lazy) String() string { return strings.Join(*l.Texts, "; ") }
