package lightningtest

import (
	"github.com/lntpay/lntpay/lightning"
)

// SetBalances sets the answer of Balances.
func (n *Node) SetBalances(balances lightning.Balances) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.balances = balances
}

// Load gives the node invoices and payments as if they had happened long ago:
// as they are, under their indexes, and without telling anybody.
func (n *Node) Load(invoices []lightning.Invoice, paid []lightning.Payment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, invoice := range invoices {
		n.invoices[invoice.PaymentHash] = invoice
		n.highest.Add = max(n.highest.Add, invoice.AddIndex)
		n.highest.Settle = max(n.highest.Settle, invoice.SettleIndex)
		if invoice.SettleIndex > 0 {
			n.entries = append(n.entries, invoice.SettleIndex)
		}
	}
	for _, one := range paid {
		n.payments[one.PaymentHash] = &payment{Payment: one, changed: make(chan struct{})}
		n.highest.Payment = max(n.highest.Payment, one.Index)
	}
}
