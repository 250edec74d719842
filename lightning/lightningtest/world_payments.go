package lightningtest

import (
	"fmt"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// SettlePayment is the recipient who takes a payment in flight.
func (n *Node) SettlePayment(hash lightning.Hash) error {
	held, err := n.inFlight(hash)
	if err != nil {
		return err
	}
	if held.to != nil {
		n.deliver(held)

		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finish(held, n.preimages[hash], "")

	return nil
}

// FailPayment ends a payment in flight.
func (n *Node) FailPayment(hash lightning.Hash, reason lightning.FailureReason) error {
	held, err := n.inFlight(hash)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finish(held, lightning.Preimage{}, reason)

	return nil
}

// inFlight is the live record of a hash.
func (n *Node) inFlight(hash lightning.Hash) (*payment, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known, ok := n.payments[hash]
	if !ok || known.State != lightning.PaymentInFlight {
		return nil, fmt.Errorf("lightningtest: no payment of %x is in flight", hash)
	}

	return known, nil
}

// ForeignPayment is a payment that somebody else made with the node's keys,
// past SendPayment: it takes the place of any record of the hash and does not
// count as an initiation. A failed one has the reason "error"; SettlePayment
// and FailPayment end one in flight.
func (n *Node) ForeignPayment(
	hash lightning.Hash, state lightning.PaymentState, value, fee payments.Msat,
) lightning.Payment {
	n.mu.Lock()
	defer n.mu.Unlock()
	foreign := n.record(lightning.Payment{
		PaymentHash: hash, State: lightning.PaymentInFlight, ValueMsat: value,
		Attempts: 1, Pending: 1, ExpiryHeight: HoldExpiryHeight,
	})
	foreign.fee = fee
	switch state {
	case lightning.PaymentSucceeded:
		n.finish(foreign, n.preimages[hash], "")
	case lightning.PaymentFailed:
		n.finish(foreign, lightning.Preimage{}, lightning.ReasonError)
	case lightning.PaymentInFlight:
		n.tell(foreign)
	}

	return foreign.Payment
}

// ForgetPayment deletes a payment, as an operator can (DeletePayment).
func (n *Node) ForgetPayment(hash lightning.Hash) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.payments, hash)
}

// EditPayment changes the node's record of a hash in place, to what lnd must
// never say, and tells it to the streams.
func (n *Node) EditPayment(hash lightning.Hash, edit func(*lightning.Payment)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.payments[hash]; ok {
		edit(&known.Payment)
		n.tell(known)
	}
}

// Initiations is how often a payment of the hash was really begun, here or
// before a Restore.
func (n *Node) Initiations(hash lightning.Hash) int {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.initiations[hash]
}

// ReleaseSends lets what FailDelayed and HangDelayed kept back happen now, in
// order, by the rules and the clock of now. It says how many there were.
func (n *Node) ReleaseSends() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	delayed := n.delayed
	n.delayed = nil
	for _, effect := range delayed {
		// Nobody is left to hear of an error.
		_ = effect()
	}

	return len(delayed)
}

// Restart is an lnd that ends and starts again: streams break, SteadyFor is 0,
// payments in flight without an HTLC fail for want of a route, and results that
// were not recorded are.
func (n *Node) Restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steady, n.started = 0, n.now()
	for _, p := range n.payments {
		if p.unrecorded {
			n.finish(p, n.preimages[p.PaymentHash], "")
		}
		if p.State == lightning.PaymentInFlight && p.Pending == 0 {
			n.finish(p, lightning.Preimage{}, lightning.ReasonNoRoute)
		}
	}
	n.breakStreams(ErrLost)
}
