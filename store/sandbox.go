package store

import (
	"encoding/hex"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// SandboxInvoice turns a row into the domain's sandbox invoice.
func (s *Store) SandboxInvoice(row db.SandboxInvoice) payments.SandboxInvoice {
	return payments.SandboxInvoice{
		ID: row.ID, Object: "sandbox_invoice", Environment: s.Environment,
		AmountMsat: payments.Msat(row.AmountMsat), Behaviour: payments.SandboxBehaviour(row.Behaviour),
		Bolt11: row.Bolt11, PaymentHash: hex.EncodeToString(row.PaymentHash), CreatedAt: row.CreatedAt.UTC(),
	}
}
