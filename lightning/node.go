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
	// ErrPaymentNotFound means the node answered that it has no payment of
	// this hash. It is not proof that none was sent.
	ErrPaymentNotFound = errors.New("lightning: no such payment on this node")
	// ErrPaymentExists is SendPayment's answer for a hash whose payment is
	// initiated, in flight or succeeded: lnd says AlreadyExists to all three
	// (routerrpc/router_server.go), so it does not mean paid.
	ErrPaymentExists = errors.New("lightning: the node has a payment of this hash")
	// ErrPaymentRefused is SendPayment's answer when lnd's own handler
	// refused the request before it wrote anything: repeating is no use.
	ErrPaymentRefused = errors.New("lightning: the node refuses this payment")
	// ErrNoRoute means that the node's graph has no route for the amount.
	ErrNoRoute = errors.New("lightning: no route")
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
	// Payment is the highest payment index; failed and incomplete payments
	// count.
	Payment uint64
}

// PaymentState is the node's word on a payment.
type PaymentState string

// The states of a payment on the node (lnrpc.Payment_PaymentStatus; INITIATED
// counts as in flight). Failed is final only for the initiation that it was
// read of: lnd lets the same hash be paid again.
//
// In flight is not always true: lnd 0.21.2 that is stopped between its record
// of an attempt and the channel's says in flight, with one HTLC pending, for
// ever, through restarts and with no HTLC in any channel (seen on regtest;
// htlcswitch/switch.go, GetAttemptResult, finds the half circuit and waits).
// HTLCsOf shows it, but the same is seen of an HTLC that was resolved on its
// channel while lnd failed to write that into its record (a database error ends
// routing/payment_lifecycle.go, handleAttemptResult, until lnd is started again).
// The switch has kept the result, and lnd may yet say succeeded: only a start
// after the HTLC was gone tells the two apart.
const (
	PaymentInFlight  PaymentState = "in_flight"
	PaymentSucceeded PaymentState = "succeeded"
	PaymentFailed    PaymentState = "failed"
)

// FailureReason says why a payment failed (lnrpc.PaymentFailureReason).
type FailureReason string

// The reasons.
const (
	ReasonTimeout             FailureReason = "timeout"
	ReasonNoRoute             FailureReason = "no_route"
	ReasonError               FailureReason = "error"
	ReasonIncorrectDetails    FailureReason = "incorrect_payment_details"
	ReasonInsufficientBalance FailureReason = "insufficient_balance"
	ReasonCanceled            FailureReason = "canceled"
)

// Payment is the node's record of a payment.
type Payment struct {
	PaymentHash Hash
	State       PaymentState
	// Index and CreatedNS together name one initiation of a hash: a failed one
	// that is initiated again gets another pair (payments/db, InitPayment);
	// on SQLite maybe the same index, see the time.
	Index     uint64
	CreatedNS int64
	ValueMsat payments.Msat
	// FeeMsat is what was paid for routing, over all parts that have settled.
	FeeMsat payments.Msat
	// Preimage is zero unless the state is succeeded.
	Preimage Preimage
	Reason   FailureReason
	// Attempts is how many HTLCs the node remembers (lnd deletes the failed
	// ones of an ended payment, a moment after the end is told), Pending how
	// many are out, Settled how many the recipient has taken, with the preimage
	// (the payment is in flight while any other is out), and ExpiryHeight the
	// highest block at which one that is out ends by itself (the first hop's
	// total time lock).
	Attempts     int
	Pending      int
	Settled      int
	ExpiryHeight uint32
}

// HTLCs is what the node's channels say of a payment, whatever its record says.
type HTLCs struct {
	// Found says that a channel has an outgoing HTLC of the hash.
	Found bool
	// Certain is false when one that was not found could be hidden; Why says
	// by what, in words.
	Certain bool
	Why     string
	// Up is for how long lnd has run, in whole seconds: the longest lifetime of
	// an open channel, which lnd counts from its own start, or from the channel's
	// opening. 0 while it starts, and without a channel, which is not certain.
	Up time.Duration
}

// SendRequest is what SendPayment asks for.
type SendRequest struct {
	Bolt11 string
	// AmountMsat is zero unless the invoice names no amount.
	AmountMsat payments.Msat
	// FeeLimitMsat is the most that all parts together may cost; 0 means
	// routes without fees only.
	FeeLimitMsat payments.Msat
	// CLTVLimit bounds for how many blocks the funds may be locked.
	CLTVLimit uint32
	// Timeout ends new attempts; those under way go on. Whole seconds.
	Timeout  time.Duration
	MaxParts uint32
}

// RouteRequest is what EstimateFee asks for.
type RouteRequest struct {
	Bolt11 string
	// AmountMsat is what would be paid, whatever the invoice names.
	AmountMsat payments.Msat
	CLTVLimit  uint32
}

// Balances is what a node has, by where it is. What commitment transactions cost
// is in none of them.
type Balances struct {
	// LocalMsat is ours in open channels, the reserve included.
	LocalMsat payments.Msat
	// IncomingMsat is in HTLCs that are offered to us: an invoice is settled
	// before its HTLC is, so they count as ours.
	IncomingMsat payments.Msat
	// OutgoingMsat is in HTLCs that we offered and nobody has taken yet.
	OutgoingMsat payments.Msat
	// OpeningMsat is ours in channels whose opening is not confirmed yet.
	OpeningMsat payments.Msat
	// ClosingMsat is ours in channels that are being closed.
	ClosingMsat payments.Msat
	// OnChainMsat is the wallet's, confirmed: what is not may be of a close, and
	// is counted there.
	OnChainMsat payments.Msat
}

// TotalMsat is all of it.
func (b Balances) TotalMsat() payments.Msat {
	return b.LocalMsat + b.IncomingMsat + b.OutgoingMsat + b.OpeningMsat + b.ClosingMsat + b.OnChainMsat
}

// Invoices is what is paid to a node.
type Invoices interface {
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
}

// Payments is what a node pays.
type Payments interface {
	// SendPayment makes a payment and reads its stream until it is final or
	// the context ends, which does not end the payment. A nil error means
	// that the payment is final: succeeded or failed. Otherwise last is the
	// latest news from the stream, nil without any, and the error
	// ErrPaymentExists, ErrPaymentRefused, or "unknown". The context's
	// deadline is its only one.
	SendPayment(ctx context.Context, request SendRequest) (last *Payment, err error)
	// TrackPayment reads what the node knows of a hash, once;
	// ErrPaymentNotFound on gRPC NotFound.
	TrackPayment(ctx context.Context, hash Hash) (Payment, error)
	// HTLCsOf reads whether a channel has an outgoing HTLC of the hash. One that
	// was sent in the last minute may not be seen yet: lnd keeps it that long
	// for a link (htlcswitch.mailboxdeliverytimeout).
	HTLCsOf(ctx context.Context, hash Hash) (HTLCs, error)
	// SubscribePayments streams what is in flight, then every change of every
	// payment, until the context ends or the stream breaks (always a non-nil
	// error). Ends from before onOpen, or just after it, are not told.
	SubscribePayments(ctx context.Context, onOpen func(), handle func(Payment) error) error
	// ListPayments pages through all payments with an index above after, in
	// order, incomplete and failed ones too, at most pageSize at a time.
	ListPayments(ctx context.Context, after, pageSize uint64, page func([]Payment) error) error
	// EstimateFee is what the cheapest route that the node knows now would
	// cost, from its graph; nothing is sent. ErrNoRoute if there is none.
	EstimateFee(ctx context.Context, request RouteRequest) (payments.Msat, error)
}

// Node is one lnd node. Every method honours its context's deadline and has
// one of its own; all are safe for concurrent use.
type Node interface {
	Invoices
	Payments

	// Name is the configured name, the value of charge.node.
	Name() string
	// Pubkey is the identity key in lowercase hex, pinned at connect.
	Pubkey() string
	// SteadyFor is how long the node has answered without an error, a timeout
	// or a new connection (a restart of the node breaks it); 0 unless the last
	// call went well.
	SteadyFor() time.Duration
	// ComingUp reports whether the node started less than a minute ago and a
	// channel is not active yet: a payment that is sent now may find no route,
	// which is there in a moment. A node that has been steady for longer is not
	// asked.
	ComingUp(ctx context.Context) (bool, error)
	// Balances reads what the node has. The parts are read one after another: a
	// payment that ends in between may be in two of them or in none.
	Balances(ctx context.Context) (Balances, error)
	// Ready is nil when the node answers and is synced to its chain.
	Ready(ctx context.Context) error
	// Health reads how the node fares, for the metrics: one GetInfo.
	Health(ctx context.Context) (Health, error)
	// Close ends the connection.
	Close()
}
