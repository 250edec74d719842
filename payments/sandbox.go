package payments

import "time"

// SandboxOperation is what a sandbox POST asks the payer node for.
type SandboxOperation string

// The operations.
const (
	SandboxPay           SandboxOperation = "pay"
	SandboxCreateInvoice SandboxOperation = "create_invoice"
	SandboxRelease       SandboxOperation = "release"
	SandboxCancel        SandboxOperation = "cancel"
)

// SandboxBehaviour is what the payer node does with the payment of an invoice
// that it was asked for.
type SandboxBehaviour string

// The behaviours.
const (
	// SandboxSettle takes the payment.
	SandboxSettle SandboxBehaviour = "settle"
	// SandboxFail refuses it: the invoice is canceled from the start.
	SandboxFail SandboxBehaviour = "fail"
	// SandboxHold keeps it until it is released or canceled.
	SandboxHold SandboxBehaviour = "hold"
)

// SandboxBehaviours are all behaviours.
func SandboxBehaviours() []SandboxBehaviour {
	return []SandboxBehaviour{SandboxSettle, SandboxFail, SandboxHold}
}

// MaxSandboxInvoice is the largest amount of a sandbox invoice, 1 BTC: above
// the default limits on withdrawals, so that these can be tried too.
const MaxSandboxInvoice = 100_000_000 * MsatPerSat

// SandboxRequest is a sandbox POST as its claim keeps it. What the operation
// does not need is empty.
type SandboxRequest struct {
	Operation SandboxOperation `json:"operation"`
	// ChargeID is the charge to pay, with AmountMsat.
	ChargeID string `json:"charge_id,omitempty"`
	// InvoiceID is the invoice to release or cancel.
	InvoiceID string `json:"invoice_id,omitempty"`
	// Behaviour and AmountMsat are those of the invoice to create.
	Behaviour  SandboxBehaviour `json:"behaviour,omitempty"`
	AmountMsat Msat             `json:"amount_msat,omitempty"`
}

// SandboxInvoice is an invoice of the payer node, to withdraw to.
type SandboxInvoice struct {
	ID          string           `json:"id"`
	Object      string           `json:"object"`
	Environment Environment      `json:"environment"`
	AmountMsat  Msat             `json:"amount_msat"`
	Behaviour   SandboxBehaviour `json:"behaviour"`
	Bolt11      string           `json:"bolt11"`
	PaymentHash string           `json:"payment_hash"`
	CreatedAt   time.Time        `json:"created_at"`
}

// SandboxPayment is the order to pay a charge: the payer node pays from now on.
type SandboxPayment struct {
	ID          string      `json:"id"`
	Object      string      `json:"object"`
	Environment Environment `json:"environment"`
	ChargeID    string      `json:"charge_id"`
	AmountMsat  Msat        `json:"amount_msat"`
}
