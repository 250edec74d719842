package lightningtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// Settle is a payer who pays an invoice; an amount of 0 is the invoice's own.
// Like lnd it refuses less than that, and whatever is not open or accepted;
// expiry is not looked at.
func (n *Node) Settle(hash lightning.Hash, amount payments.Msat) (lightning.Invoice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	invoice, ok := n.invoices[hash]
	if amount == 0 {
		amount = invoice.ValueMsat
	}
	switch {
	case !ok:
		return invoice, lightning.ErrInvoiceNotFound
	case invoice.State != lightning.InvoiceOpen && invoice.State != lightning.InvoiceAccepted:
		return invoice, fmt.Errorf("lightningtest: the invoice is %s", invoice.State)
	case amount < invoice.ValueMsat:
		return invoice, fmt.Errorf("lightningtest: %d msat is less than asked for", amount)
	}
	n.highest.Settle++
	n.entries = append(n.entries, n.highest.Settle)
	invoice.State, invoice.AmtPaidMsat = lightning.InvoiceSettled, amount
	invoice.SettleIndex, invoice.SettledAt = n.highest.Settle, n.now().Truncate(time.Second).UTC()
	n.invoices[hash] = invoice
	n.publish(invoice)

	return invoice, nil
}

// Accept is a first part of a payment: the invoice is neither open nor
// settled.
func (n *Node) Accept(hash lightning.Hash) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	invoice, ok := n.invoices[hash]
	if !ok || invoice.State != lightning.InvoiceOpen {
		return fmt.Errorf("lightningtest: the invoice is %q", invoice.State)
	}
	invoice.State = lightning.InvoiceAccepted
	n.invoices[hash] = invoice

	return nil
}

// Cancel is lnd's expiry watcher, or an operator, who cancels an invoice.
func (n *Node) Cancel(hash lightning.Hash) error {
	n.mu.Lock()
	defer n.mu.Unlock()

	return n.cancel(hash)
}

// Forget deletes an invoice, as garbage collection of canceled ones does.
func (n *Node) Forget(hash lightning.Hash) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.invoices, hash)
}

// SettleHashless is a spontaneous AMP payment: it takes a settle index and
// nobody hears of it.
func (n *Node) SettleHashless() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.highest.Settle++
	n.entries = append(n.entries, n.highest.Settle)
	for s := range n.streams {
		s.cursor = max(s.cursor, n.highest.Settle)
	}
}

// SetNow replaces the node's clock.
func (n *Node) SetNow(now func() time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = now
}

// SetReceivable sets the answer of ReceivableMsat.
func (n *Node) SetReceivable(amount payments.Msat) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.receivable = amount
}

// SetReady sets the answer of Ready.
func (n *Node) SetReady(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notReady = err
}

// Snapshot is a node's whole state at a moment.
type Snapshot struct {
	invoices map[lightning.Hash]lightning.Invoice
	highest  lightning.Indexes
	entries  []uint64
	payments map[lightning.Hash]payment
}

// Snapshot keeps the present state, for Restore.
func (n *Node) Snapshot() Snapshot {
	n.mu.Lock()
	defer n.mu.Unlock()

	past := Snapshot{
		invoices: maps.Clone(n.invoices), highest: n.highest, entries: slices.Clone(n.entries),
		payments: map[lightning.Hash]payment{},
	}
	for hash, known := range n.payments {
		past.payments[hash] = *known
	}

	return past
}

// Restore takes the node back in time: what happened since is gone, its
// indexes will be handed out again, all streams break and SteadyFor is 0. The zero Snapshot
// is a node restored from its seed.
func (n *Node) Restore(past Snapshot) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.invoices = maps.Clone(past.invoices)
	if n.invoices == nil {
		n.invoices = map[lightning.Hash]lightning.Invoice{}
	}
	n.highest, n.entries, n.held = past.highest, slices.Clone(past.entries), nil
	n.payments = map[lightning.Hash]*payment{}
	for hash, known := range past.payments {
		n.payments[hash] = &payment{
			Payment: known.Payment, to: known.to, fee: known.fee, phantom: known.phantom, unrecorded: known.unrecorded,
			changed: make(chan struct{}),
		}
	}
	n.steady, n.started = 0, n.now()
	n.breakStreams(ErrLost)
}
