package lightning

import (
	"context"
	"errors"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// ErrNotTestNetwork means that the payer node is not on the network that it
// must be on, regtest or signet: it is not asked for anything.
var ErrNotTestNetwork = errors.New("lightning: the payer node is not on the sandbox's test network")

// Payer is the second node of a sandbox, which plays the world outside: it pays
// charges, and its invoices are withdrawn to. Every method first asks the node
// for its network (ErrNotTestNetwork), honours its context's deadline, and is
// safe for concurrent use. Another error than those below means "unknown".
type Payer interface {
	// Ready is nil when the node answers, from the right network.
	Ready(ctx context.Context) error
	// AddInvoice makes an invoice for a preimage that the caller chose;
	// ErrInvoiceExists for one that it has.
	AddInvoice(ctx context.Context, invoice PayerInvoice) (bolt11 string, err error)
	// LookupInvoice reads one invoice; ErrInvoiceNotFound.
	LookupInvoice(ctx context.Context, hash Hash) (Invoice, error)
	// SettleInvoice takes the held payment of an invoice. Of one that has none
	// the error is "unknown": look at its state.
	SettleInvoice(ctx context.Context, preimage Preimage) error
	// CancelInvoice refuses an invoice's payment, held or to come. It is nil
	// also when it was canceled before, ErrInvoiceSettled or ErrInvoiceNotFound.
	CancelInvoice(ctx context.Context, hash Hash) error
	// Pay pays an invoice and waits until that is final: succeeded or failed.
	// The amount is zero for the invoice's own; with another the invoice's
	// fields are paid by hand. ErrPaymentExists, ErrPaymentRefused.
	Pay(ctx context.Context, bolt11 string, amount payments.Msat) (Payment, error)
	// Close ends the connection.
	Close()
}

// PayerInvoice is what Payer.AddInvoice asks for.
type PayerInvoice struct {
	Preimage   Preimage
	AmountMsat payments.Msat
	Expiry     time.Duration
	// Hold keeps the preimage from the node: a payment waits for
	// SettleInvoice or CancelInvoice.
	Hold bool
}

// PayerConfig says which node, and how to reach it.
type PayerConfig struct {
	// Network is regtest or signet.
	Network string
	// Address is lnd's gRPC host:port.
	Address string
	// TLSCertFile is lnd's tls.cert.
	TLSCertFile string
	// MacaroonFile is a macaroon with at least PayerPermissions.
	MacaroonFile string
}

// PayerPermissions are the URIs of the payer's macaroon.
func PayerPermissions() []string {
	return []string{
		"/lnrpc.Lightning/GetInfo",
		"/lnrpc.Lightning/AddInvoice",
		"/lnrpc.Lightning/LookupInvoice",
		"/lnrpc.Lightning/DecodePayReq",
		"/invoicesrpc.Invoices/AddHoldInvoice",
		"/invoicesrpc.Invoices/SettleInvoice",
		"/invoicesrpc.Invoices/CancelInvoice",
		"/routerrpc.Router/SendPaymentV2",
	}
}

// TestNetwork reports whether the sandbox may play on a network.
func TestNetwork(network string) bool { return network == "regtest" || network == "signet" }
