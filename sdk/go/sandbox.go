package lntpay

import (
	"context"
	"time"
)

// SandboxService has the sandbox's second node pay charges and give out
// invoices, for trying things out and for tests. It works with sandbox keys,
// where the operator has set up such a node ([ErrNoPayerNode]).
type SandboxService struct{ c *Client }

// SandboxBehaviour is what becomes of the payment of a sandbox invoice.
type SandboxBehaviour string

// The behaviours.
const (
	// SandboxSettle takes the payment.
	SandboxSettle SandboxBehaviour = "settle"
	// SandboxFail refuses it: the withdrawal fails as rejected_by_recipient.
	SandboxFail SandboxBehaviour = "fail"
	// SandboxHold keeps it until ReleaseInvoice or CancelInvoice.
	SandboxHold SandboxBehaviour = "hold"
)

// SandboxPayment says that a charge is about to be paid.
type SandboxPayment struct {
	ID          string      `json:"id"`
	Environment Environment `json:"environment"`
	ChargeID    string      `json:"charge_id"`
	AmountMsat  int64       `json:"amount_msat"`
}

// SandboxPaymentParams say how a charge is paid.
type SandboxPaymentParams struct {
	// AmountMsat is the charge's own if zero; more overpays it.
	AmountMsat int64 `json:"amount_msat,omitempty"`
}

// SandboxInvoice is an invoice to withdraw to.
type SandboxInvoice struct {
	ID          string           `json:"id"`
	Environment Environment      `json:"environment"`
	AmountMsat  int64            `json:"amount_msat"`
	Behaviour   SandboxBehaviour `json:"behaviour"`
	Bolt11      string           `json:"bolt11"`
	PaymentHash string           `json:"payment_hash"`
	CreatedAt   time.Time        `json:"created_at"`
}

// SandboxInvoiceParams describe a new sandbox invoice. Both are required.
type SandboxInvoiceParams struct {
	AmountMsat int64            `json:"amount_msat"`
	Behaviour  SandboxBehaviour `json:"behaviour"`
}

const sandboxInvoicesPath = "/v1/sandbox/invoices"

// PayCharge has a charge paid, soon after it returns: wait for the charge. One
// that is not pending is [ErrChargeNotPayable]. It needs the scope
// charges:write.
func (s *SandboxService) PayCharge(
	ctx context.Context, chargeID string, params SandboxPaymentParams, options ...WriteOption,
) (*SandboxPayment, error) {
	return call[SandboxPayment](ctx, s.c, post("/v1/sandbox/charges", params, options).on(chargeID, "/pay"))
}

// CreateInvoice makes an invoice to withdraw to. It needs the scope
// withdrawals:write, as ReleaseInvoice and CancelInvoice do.
func (s *SandboxService) CreateInvoice(
	ctx context.Context, params SandboxInvoiceParams, options ...WriteOption,
) (*SandboxInvoice, error) {
	return call[SandboxInvoice](ctx, s.c, post(sandboxInvoicesPath, params, options))
}

// ReleaseInvoice takes a held payment: the withdrawal succeeds. Again is fine;
// where none is held it is [ErrInvoiceNotHeld].
func (s *SandboxService) ReleaseInvoice(ctx context.Context, id string, options ...WriteOption) (*SandboxInvoice, error) {
	return call[SandboxInvoice](ctx, s.c, post(sandboxInvoicesPath, nil, options).on(id, "/release"))
}

// CancelInvoice sends a held payment back: the withdrawal fails. See
// ReleaseInvoice.
func (s *SandboxService) CancelInvoice(ctx context.Context, id string, options ...WriteOption) (*SandboxInvoice, error) {
	return call[SandboxInvoice](ctx, s.c, post(sandboxInvoicesPath, nil, options).on(id, "/cancel"))
}
