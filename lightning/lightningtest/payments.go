package lightningtest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// HoldExpiryHeight is the block at which the HTLC of a payment in flight ends
// by itself.
const HoldExpiryHeight = 1_000

// payment is a record of one initiation. A later initiation of the hash makes
// another one.
type payment struct {
	lightning.Payment
	// to is the linked node that was paid, nil for the outside world.
	to *Node
	// fee is what success will cost: lnd counts settled HTLCs only.
	fee payments.Msat
	// phantom says that no channel has its HTLC.
	phantom bool
	// unrecorded says that it succeeds with the next start.
	unrecorded bool
	// changed is closed and replaced at each change.
	changed chan struct{}
}

// final reports whether nothing can come after.
func (p *payment) final() bool {
	return p.State == lightning.PaymentSucceeded || p.State == lightning.PaymentFailed
}

// SendPayment implements lightning.Node with lnd's rules: what lnd's own
// handler refuses is not recorded; one live or succeeded payment of a hash
// excludes another; a failed one is forgotten for a new one with another index
// and time. See Outcome for what becomes of it.
func (n *Node) SendPayment(ctx context.Context, request lightning.SendRequest) (*lightning.Payment, error) {
	var (
		sent   *payment
		broken <-chan struct{}
	)
	err := n.do(ctx, SendPayment, func() (err error) {
		sent, err = n.initiate(request)
		broken = n.broken

		return err
	})
	if err != nil {
		return nil, err
	}
	for {
		n.mu.Lock()
		last, final, changed := sent.Payment, sent.final(), sent.changed
		n.mu.Unlock()
		if final {
			return &last, nil
		}
		select {
		case <-changed:
		case <-broken:
			return &last, ErrLost
		case <-ctx.Done():
			return &last, ctx.Err()
		}
	}
}

// initiate is lnd's InitPayment and the payment's first attempt.
func (n *Node) initiate(request lightning.SendRequest) (*payment, error) {
	invoice, amount, err := n.intent(request)
	if err != nil {
		return nil, err
	}
	hash := lightning.Hash(*invoice.PaymentHash)
	if known, ok := n.payments[hash]; ok && known.State != lightning.PaymentFailed {
		return nil, lightning.ErrPaymentExists
	}
	n.initiations[hash]++
	outcome := n.outcome(hash)
	sent := n.record(lightning.Payment{PaymentHash: hash, State: lightning.PaymentInFlight, ValueMsat: amount})
	sent.to = n.links[destination(invoice)]
	n.begin(sent, outcome, request.FeeLimitMsat)

	return sent, nil
}

// begin plays the outcome as far as it goes by itself.
func (n *Node) begin(sent *payment, outcome Outcome, feeLimit payments.Msat) {
	switch {
	case outcome.reason == "" && (outcome.fee > feeLimit || !n.reaches(sent.PaymentHash, sent.to)):
		n.finish(sent, lightning.Preimage{}, lightning.ReasonNoRoute)

		return
	case outcome.reason == lightning.ReasonNoRoute || outcome.reason == lightning.ReasonInsufficientBalance:
		n.finish(sent, lightning.Preimage{}, outcome.reason)

		return
	case outcome.stuck:
		n.tell(sent)

		return
	}
	sent.phantom, sent.unrecorded = outcome.phantom, outcome.unrecorded
	sent.fee, sent.Attempts, sent.Pending, sent.ExpiryHeight = outcome.fee, 1, 1, HoldExpiryHeight
	n.tell(sent)
	switch {
	case outcome.reason != "":
		n.finish(sent, lightning.Preimage{}, outcome.reason)
	case outcome.held:
	case sent.to != nil:
		// Not under our lock: the other node may pay us at the same time.
		go n.deliver(sent)
	default:
		n.finish(sent, n.preimages[sent.PaymentHash], "")
	}
}

// reaches reports whether there is somebody who can take a payment.
func (n *Node) reaches(hash lightning.Hash, to *Node) bool {
	_, outside := n.preimages[hash]

	return outside || to != nil
}

// deliver pays the linked node's invoice and ends the payment with its answer.
func (n *Node) deliver(sent *payment) {
	preimage, err := sent.to.take(sent.PaymentHash, sent.ValueMsat)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.finish(sent, lightning.Preimage{}, lightning.ReasonIncorrectDetails)

		return
	}
	n.finish(sent, preimage, "")
}

// take settles an invoice and gives its preimage away.
func (n *Node) take(hash lightning.Hash, amount payments.Msat) (lightning.Preimage, error) {
	if _, err := n.Settle(hash, amount); err != nil {
		return lightning.Preimage{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.preimages[hash], nil
}

// record writes a new initiation in place of what the hash had. Native SQL on
// SQLite gives the index of the newest payment again when that one is replaced
// (sqldb, 000010_payments.up.sql: a primary key without AUTOINCREMENT), so
// that only CreatedNS tells the two apart.
func (n *Node) record(p lightning.Payment) *payment {
	delete(n.payments, p.PaymentHash)
	if n.addOrder {
		n.highest.Payment = 0
		for _, other := range n.payments {
			n.highest.Payment = max(n.highest.Payment, other.Index)
		}
	}
	n.highest.Payment++
	p.Index, p.CreatedNS = n.highest.Payment, n.now().UnixNano()
	recorded := &payment{Payment: p, changed: make(chan struct{})}
	n.payments[p.PaymentHash] = recorded

	return recorded
}

// finish ends a payment, once: succeeded without a reason, else failed.
func (n *Node) finish(p *payment, preimage lightning.Preimage, reason lightning.FailureReason) {
	if p.final() {
		return
	}
	out := p.Pending
	p.Pending, p.ExpiryHeight = 0, 0
	if reason == "" {
		p.Settled += out
		p.State, p.Preimage, p.FeeMsat = lightning.PaymentSucceeded, preimage, p.fee
	} else {
		p.State, p.Reason = lightning.PaymentFailed, reason
	}
	n.tell(p)
}

// tell wakes whoever follows the payment, unless the node has forgotten it.
func (n *Node) tell(p *payment) {
	close(p.changed)
	p.changed = make(chan struct{})
	if n.payments[p.PaymentHash] != p {
		return
	}
	for s := range n.paymentStreams {
		s.queue = append(s.queue, p.Payment)
		s.nudge()
	}
}

// TrackPayment implements lightning.Node.
func (n *Node) TrackPayment(ctx context.Context, hash lightning.Hash) (found lightning.Payment, err error) {
	err = n.do(ctx, TrackPayment, func() error {
		known, ok := n.payments[hash]
		if !ok {
			return lightning.ErrPaymentNotFound
		}
		found = known.Payment

		return nil
	})
	if err != nil {
		return lightning.Payment{}, err
	}

	return found, nil
}

// HTLCsOf implements lightning.Node.
func (n *Node) HTLCsOf(ctx context.Context, hash lightning.Hash) (htlcs lightning.HTLCs, err error) {
	err = n.do(ctx, HTLCsOf, func() error {
		known, ok := n.payments[hash]
		switch {
		case ok && known.Pending > 0 && !known.phantom:
			htlcs = lightning.HTLCs{Found: true, Certain: true}
		case n.inactive:
			htlcs.Why = "a channel is not active"
		default:
			htlcs.Certain = true
		}
		htlcs.Up = n.now().Sub(n.started).Truncate(time.Second)

		return nil
	})
	if err != nil {
		return lightning.HTLCs{}, err
	}

	return htlcs, nil
}

// ComingUp implements lightning.Node: a node that has not been steady for long
// and whose channels are not active.
func (n *Node) ComingUp(ctx context.Context) (up bool, err error) {
	err = n.do(ctx, ComingUp, func() error {
		up = n.inactive && n.steady < time.Minute

		return nil
	})

	return up, err
}

// ListPayments implements lightning.Node. Each page is a call of its own for
// faults.
func (n *Node) ListPayments(
	ctx context.Context, after, pageSize uint64, page func([]lightning.Payment) error,
) error {
	for {
		var next []lightning.Payment
		err := n.do(ctx, ListPayments, func() error {
			all := n.byPaymentIndex()
			start, _ := slices.BinarySearchFunc(all, after+1, func(p lightning.Payment, index uint64) int {
				return cmp.Compare(p.Index, index)
			})
			next = all[start:min(uint64(start)+max(pageSize, 1), uint64(len(all)))]

			return nil
		})
		if err != nil || len(next) == 0 {
			return err
		}
		if err := page(next); err != nil {
			return err
		}
		after = next[len(next)-1].Index
	}
}

// byPaymentIndex are all payments in order.
func (n *Node) byPaymentIndex() []lightning.Payment {
	all := make([]lightning.Payment, 0, len(n.payments))
	for _, p := range n.payments {
		all = append(all, p.Payment)
	}
	slices.SortFunc(all, func(a, b lightning.Payment) int { return cmp.Compare(a.Index, b.Index) })

	return all
}

// EstimateFee implements lightning.Node: the fee that a payment would have
// now (see Script), unless SetEstimate says another.
func (n *Node) EstimateFee(ctx context.Context, request lightning.RouteRequest) (fee payments.Msat, err error) {
	err = n.do(ctx, EstimateFee, func() error {
		invoice, err := decode(request.Bolt11)
		if err != nil {
			return err
		}
		if n.estimate != nil {
			fee = n.estimate.fee

			return n.estimate.err
		}
		hash := lightning.Hash(*invoice.PaymentHash)
		outcome := n.peek(hash)
		if outcome.reason == lightning.ReasonNoRoute || !n.reaches(hash, n.links[destination(invoice)]) {
			return lightning.ErrNoRoute
		}
		fee = outcome.fee

		return nil
	})
	if err != nil {
		return 0, err
	}

	return fee, nil
}

// SteadyFor implements lightning.Node: what SetSteady says, a day until then.
func (n *Node) SteadyFor() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.steady
}
