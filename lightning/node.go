package lightning

import (
	"context"
	"errors"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// Errors with a definite meaning. Any other error of a Node means "unknown":
// the call may or may not have taken effect.
var (
	// ErrInvoiceExists is AddInvoice's answer for a payment hash that the
	// node already has ("invoice with payment hash already exists").
	ErrInvoiceExists = errors.New("lightning: invoice with this payment hash exists")
	// ErrInvoiceNotFound means the node answered that it has no such
	// invoice. It is not proof that it never had one (see HighestIndexes).
	ErrInvoiceNotFound = errors.New("lightning: no such invoice on this node")
	// ErrInvoiceSettled is CancelInvoice's answer for a settled invoice.
	ErrInvoiceSettled = errors.New("lightning: invoice is settled")
	// ErrWrongNode means another node than the configured one answers at the
	// address. Nothing it says counts.
	ErrWrongNode = errors.New("lightning: another node answers at this address")
)

// InvoiceState is the node's word on an invoice.
type InvoiceState string

// The states of an invoice on the node (lnrpc.Invoice_InvoiceState).
const (
	InvoiceOpen     InvoiceState = "open"
	InvoiceAccepted InvoiceState = "accepted"
	InvoiceSettled  InvoiceState = "settled"
	InvoiceCanceled InvoiceState = "canceled"
)

// Hash is a payment hash: SHA-256 of the preimage.
type Hash [32]byte

// Preimage unlocks an invoice. It never enters workflow history or a log.
type Preimage [32]byte

// Invoice is the node's record of an invoice.
type Invoice struct {
	PaymentHash Hash
	Bolt11      string
	State       InvoiceState
	// ValueMsat is what was asked; AmtPaidMsat what arrived, which may be
	// more: lnd accepts any total at or above the value.
	ValueMsat   payments.Msat
	AmtPaidMsat payments.Msat
	AddIndex    uint64
	SettleIndex uint64
	CreatedAt   time.Time
	ExpiresAt   time.Time
	// SettledAt is zero unless the state is settled.
	SettledAt time.Time
}

// NewInvoice is what AddInvoice asks for.
type NewInvoice struct {
	Preimage    Preimage
	AmountMsat  payments.Msat
	Description string
	Expiry      time.Duration
}

// Indexes are the highest invoice indexes that the node has handed out, as far
// as it still remembers them. Lower than seen before means the node went back
// in time, or that lnd deletes canceled invoices: gc-canceled-invoices-on-startup
// and -on-the-fly stay off.
type Indexes struct {
	Add    uint64
	Settle uint64
}

// Node is one lnd node. Every method honours its context's deadline and has
// one of its own; all are safe for concurrent use.
type Node interface {
	// Name is the configured name, the value of charge.node.
	Name() string
	// Pubkey is the identity key in lowercase hex, pinned at connect.
	Pubkey() string
	// AddInvoice creates an invoice for a preimage that the caller chose, so
	// that a repeat is recognised by hash: ErrInvoiceExists.
	AddInvoice(ctx context.Context, invoice NewInvoice) (Invoice, error)
	// LookupInvoice reads one invoice; ErrInvoiceNotFound on gRPC NotFound.
	LookupInvoice(ctx context.Context, hash Hash) (Invoice, error)
	// CancelInvoice is the arbiter of expiry: nil (also when it was canceled
	// before), ErrInvoiceSettled or ErrInvoiceNotFound.
	CancelInvoice(ctx context.Context, hash Hash) error
	// SubscribeSettled streams settled invoices with a settle index above
	// the cursor, then live ones, until the context ends or the stream
	// breaks (always a non-nil error). A cursor of 0 replays nothing.
	//
	// Another cursor must be an index that the node gave to a settled
	// invoice: for one that falls into a gap, lnd on bbolt leaves out the
	// first invoice after the gap (channeldb/invoices.go,
	// InvoicesSettledSince, seeks and then steps). Live invoices at or below
	// the cursor are not sent (invoiceregistry.go, dispatchToClients). The
	// backlog is in settle order on bbolt and in add order on native SQL, and
	// an invoice that settles meanwhile may come twice.
	//
	// onOpen is called, before any handler, once the node has answered after
	// the subscription was sent. The handler runs in stream order on one
	// goroutine, which onOpen shares; its error ends the stream and is
	// wrapped. AMP invoices (a spontaneous one has no hash) are skipped.
	SubscribeSettled(ctx context.Context, settleCursor uint64, onOpen func(), handle func(Invoice) error) error
	// ListInvoices pages through all invoices with an add index at or above
	// from, in order, at most pageSize at a time.
	ListInvoices(ctx context.Context, from uint64, pageSize uint64, page func([]Invoice) error) error
	// HighestIndexes reads the node's present highest indexes; Settle is the
	// highest among its most recent invoices and may be lower than the true
	// one, so only Add proves a regression.
	HighestIndexes(ctx context.Context) (Indexes, error)
	// ReceivableMsat is what the active channels could receive in all. The
	// answer may be some seconds old.
	ReceivableMsat(ctx context.Context) (payments.Msat, error)
	// Ready is nil when the node answers and is synced to its chain.
	Ready(ctx context.Context) error
	// Close ends the connection.
	Close()
}
