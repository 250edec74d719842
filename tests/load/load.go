package load

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// Clients make charges, each one after the other: with ClientPause a moderate
	// rate, some twenty a second.
	Clients = 4
	// ClientPause is what a client waits between two charges.
	ClientPause = 200 * time.Millisecond
	// Payers pay what the clients made, one charge at a time each.
	Payers = 4
	// PayWithin is how long a payer tries to pay one charge while something may be
	// broken. What it leaves is tried again at the end: it must not keep its payer
	// from the others.
	PayWithin = 30 * time.Second
	// settleWithin bounds the end of a load: every POST answered, every charge
	// paid or left.
	settleWithin = 3 * PayWithin
)

// Load creates charges and pays them until it is finished.
type Load struct {
	w     *Workspace
	payer *Payer
	// merchant dials the node that is paid.
	merchant Connect
	ctx      context.Context //nolint:containedctx // It bounds the load, not a call.
	cancel   context.CancelFunc
	// stop ends the making of new charges.
	stop    chan struct{}
	unpaid  chan ChargeObject
	clients sync.WaitGroup
	payers  sync.WaitGroup

	mu sync.Mutex
	// left are the charges that a payer could not pay.
	left []unpaid
}

// StartLoad has so many clients make charges, each with a pause between two.
func (w *Workspace) StartLoad(t *testing.T, s Target, clients int, pause time.Duration) *Load {
	t.Helper()
	l := &Load{
		w: w, payer: NewPayer(t, s), merchant: s.Merchant, stop: make(chan struct{}), unpaid: make(chan ChargeObject, 10_000),
	}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	for range clients {
		l.clients.Go(func() { l.create(pause) })
	}
	for range Payers {
		l.payers.Go(func() {
			for charge := range l.unpaid {
				l.pay(charge)
			}
		})
	}

	return l
}

// pay pays one charge or leaves it.
func (l *Load) pay(charge ChargeObject) {
	ctx, cancel := context.WithTimeout(l.ctx, PayWithin)
	defer cancel()
	if err := l.w.Settle(ctx, l.payer, charge); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.left = append(l.left, unpaid{charge: charge, why: err})
	}
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

// Finish waits until every charge that was asked for is there and paid; those
// that payers left during an outage get their time once the channels are back.
func (l *Load) Finish(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(settleWithin, l.cancel)
	defer late.Stop()
	defer l.cancel()
	close(l.stop)
	l.clients.Wait()
	close(l.unpaid)
	l.payers.Wait()
	l.payLeft(t)
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
