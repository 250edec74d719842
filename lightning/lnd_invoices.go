package lightning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/zpay32"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lntpay/lntpay/payments"
)

const (
	// maxPage bounds a page of ListInvoices: an invoice with HTLCs is about
	// 2 KB on the wire, and lnd builds the whole page in memory.
	maxPage = 1000
	// highestWindow is how many of the latest invoices HighestIndexes reads.
	highestWindow = 100
	// listTimeout is the deadline of one page.
	listTimeout = 30 * time.Second
)

// AddInvoice implements Node. The raw stub is used because lndclient's
// AddInvoice drops add_index. Final CLTV (80) and route hints are lnd's
// defaults.
func (n *lnd) AddInvoice(ctx context.Context, invoice NewInvoice) (Invoice, error) {
	if invoice.AmountMsat <= 0 || invoice.Expiry < time.Second {
		return Invoice{}, n.unknown("AddInvoice", errors.New("an invoice needs an amount and an expiry of a second or more"))
	}
	var answer *lnrpc.AddInvoiceResponse
	err := n.call(ctx, callTimeout, func(ctx context.Context, lnd stubs) (err error) {
		answer, err = lnd.lightning.AddInvoice(ctx, &lnrpc.Invoice{
			RPreimage: invoice.Preimage[:],
			ValueMsat: int64(invoice.AmountMsat),
			Memo:      invoice.Description,
			Expiry:    int64(invoice.Expiry / time.Second),
		})

		return err
	})
	switch {
	case saysAny(err, textDuplicate):
		return Invoice{}, ErrInvoiceExists
	case err != nil:
		return Invoice{}, n.unknown("AddInvoice", err)
	}
	added, err := n.decode(answer, invoice)
	if err != nil {
		return Invoice{}, n.unknown("AddInvoice", err)
	}

	return added, nil
}

// decode reads the new invoice from its own bolt11, and checks that it asks
// for what was wanted.
func (n *lnd) decode(answer *lnrpc.AddInvoiceResponse, want NewInvoice) (Invoice, error) {
	bolt11, err := zpay32.Decode(answer.PaymentRequest, n.params)
	if err != nil {
		return Invoice{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	hash := want.Preimage.Hash()
	if bolt11.PaymentHash == nil || Hash(*bolt11.PaymentHash) != hash ||
		bolt11.MilliSat == nil || payments.Msat(*bolt11.MilliSat) != want.AmountMsat {
		return Invoice{}, fmt.Errorf("%w: the bolt11 asks for something else", errMalformed)
	}

	return Invoice{
		PaymentHash: hash, Bolt11: answer.PaymentRequest, State: InvoiceOpen,
		ValueMsat: want.AmountMsat, AddIndex: answer.AddIndex,
		CreatedAt: bolt11.Timestamp.UTC(), ExpiresAt: bolt11.Timestamp.Add(bolt11.Expiry()).UTC(),
	}, nil
}

// LookupInvoice implements Node. Both "unable to locate invoice" and "there
// are no existing invoices" come with code NotFound (rpcserver.go,
// LookupInvoice).
func (n *lnd) LookupInvoice(ctx context.Context, hash Hash) (Invoice, error) {
	var answer *lnrpc.Invoice
	err := n.call(ctx, callTimeout, func(ctx context.Context, lnd stubs) (err error) {
		answer, err = lnd.lightning.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})

		return err
	})
	switch {
	case status.Code(err) == codes.NotFound && saysAny(err, textNotFound, textNoInvoices):
		return Invoice{}, ErrInvoiceNotFound
	case err != nil:
		return Invoice{}, n.unknown("LookupInvoice", err)
	}
	invoice, ok := fromRPC(answer)
	if !ok || invoice.PaymentHash != hash {
		return Invoice{}, n.unknown("LookupInvoice", errMalformed)
	}

	return invoice, nil
}

// CancelInvoice implements Node. lnd has no codes here: its plain errors are
// told apart by text (invoices_server.go, CancelInvoice). It cancels an
// accepted invoice too (invoiceregistry.go, CancelInvoice).
func (n *lnd) CancelInvoice(ctx context.Context, hash Hash) error {
	err := n.call(ctx, callTimeout, func(ctx context.Context, lnd stubs) error {
		_, err := lnd.invoices.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})

		return err
	})
	switch {
	case err == nil, saysAny(err, textAlreadyCanceled):
		return nil
	case saysAny(err, textAlreadySettled):
		return ErrInvoiceSettled
	case saysAny(err, textNotFound, textNoInvoices):
		return ErrInvoiceNotFound
	default:
		return n.unknown("CancelInvoice", err)
	}
}

// ListInvoices implements Node. lnd's index_offset is exclusive going forward
// and tolerates gaps on both backends (channeldb/paginate.go,
// invoices/sql_store.go QueryInvoices).
func (n *lnd) ListInvoices(ctx context.Context, from, pageSize uint64, page func([]Invoice) error) error {
	offset := max(from, 1) - 1
	size := min(max(pageSize, 1), maxPage)
	for {
		answer, err := n.list(ctx, &lnrpc.ListInvoiceRequest{IndexOffset: offset, NumMaxInvoices: size})
		if err != nil {
			return err
		}
		if invoices := fromList(answer.Invoices); len(invoices) > 0 {
			if err := page(invoices); err != nil {
				return err
			}
		}
		if uint64(len(answer.Invoices)) < size {
			return nil
		}
		if answer.LastIndexOffset <= offset {
			return n.unknown("ListInvoices", fmt.Errorf("%w: the page does not move on", errMalformed))
		}
		offset = answer.LastIndexOffset
	}
}

// HighestIndexes implements Node. Payments are asked for with the macaroon
// that pays.
func (n *lnd) HighestIndexes(ctx context.Context) (Indexes, error) {
	answer, err := n.list(ctx, &lnrpc.ListInvoiceRequest{Reversed: true, NumMaxInvoices: highestWindow})
	if err != nil {
		return Indexes{}, err
	}
	var highest Indexes
	for _, invoice := range answer.Invoices {
		highest.Add = max(highest.Add, invoice.AddIndex)
		highest.Settle = max(highest.Settle, invoice.SettleIndex)
	}
	highest.Payment, err = n.highestPayment(ctx)

	return highest, err
}

// list reads one page.
func (n *lnd) list(ctx context.Context, request *lnrpc.ListInvoiceRequest) (*lnrpc.ListInvoiceResponse, error) {
	var answer *lnrpc.ListInvoiceResponse
	err := n.call(ctx, listTimeout, func(ctx context.Context, lnd stubs) (err error) {
		answer, err = lnd.lightning.ListInvoices(ctx, request)

		return err
	})
	if err != nil {
		return nil, n.unknown("ListInvoices", err)
	}

	return answer, nil
}

// fromList converts what can be converted.
func fromList(list []*lnrpc.Invoice) []Invoice {
	invoices := make([]Invoice, 0, len(list))
	for _, rpc := range list {
		if invoice, ok := fromRPC(rpc); ok {
			invoices = append(invoices, invoice)
		}
	}

	return invoices
}

// fromRPC converts an invoice; ok is false for what cannot be ours: AMP (a
// spontaneous one has no hash at all, lnrpc/invoicesrpc/utils.go), and a state
// that this version does not know.
func fromRPC(rpc *lnrpc.Invoice) (invoice Invoice, ok bool) {
	states := map[lnrpc.Invoice_InvoiceState]InvoiceState{
		lnrpc.Invoice_OPEN: InvoiceOpen, lnrpc.Invoice_ACCEPTED: InvoiceAccepted,
		lnrpc.Invoice_SETTLED: InvoiceSettled, lnrpc.Invoice_CANCELED: InvoiceCanceled,
	}
	state, known := states[rpc.GetState()]
	if len(rpc.GetRHash()) != len(Hash{}) || rpc.GetIsAmp() || !known {
		return Invoice{}, false
	}
	created := time.Unix(rpc.CreationDate, 0).UTC()
	invoice = Invoice{
		PaymentHash: Hash(rpc.RHash), Bolt11: rpc.PaymentRequest, State: state,
		ValueMsat: payments.Msat(rpc.ValueMsat), AmtPaidMsat: payments.Msat(rpc.AmtPaidMsat),
		AddIndex: rpc.AddIndex, SettleIndex: rpc.SettleIndex,
		CreatedAt: created, ExpiresAt: created.Add(time.Duration(rpc.Expiry) * time.Second),
	}
	if state == InvoiceSettled {
		invoice.SettledAt = time.Unix(rpc.SettleDate, 0).UTC()
	}

	return invoice, true
}
