package lightning

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/telemetry"
)

// traced makes a span of each call of a payment that is within a trace, the wait
// for a turn included: the method, the node and the payment hash, never a
// payment request, a preimage or a macaroon. What is not about one payment, such
// as the streams, has none. (lndclient gives no access to grpc.DialOption, so
// gRPC's own instrumentation cannot be switched on.)
type traced struct{ Node }

func (n traced) step(ctx context.Context, method string, hash Hash) (context.Context, func(error)) {
	attrs := []attribute.KeyValue{attribute.String("rpc.system.name", "lnd"), attribute.String("lntpay.node", n.Name())}
	if hash != (Hash{}) {
		attrs = append(attrs, attribute.String("lntpay.payment_hash", hash.String()))
	}

	return telemetry.Step(ctx, "lnd "+method, attrs...)
}

// unexpected hides the answers that a trace should not show as a failure.
func unexpected(err error) error {
	for _, answer := range []error{ErrInvoiceExists, ErrInvoiceNotFound, ErrInvoiceSettled, ErrPaymentNotFound, ErrNoRoute} {
		if errors.Is(err, answer) {
			return nil
		}
	}

	return err
}

// AddInvoice implements Node.
func (n traced) AddInvoice(ctx context.Context, invoice NewInvoice) (Invoice, error) {
	ctx, end := n.step(ctx, "AddInvoice", invoice.Preimage.Hash())
	added, err := n.Node.AddInvoice(ctx, invoice)
	end(unexpected(err))

	return added, err
}

// LookupInvoice implements Node.
func (n traced) LookupInvoice(ctx context.Context, hash Hash) (Invoice, error) {
	ctx, end := n.step(ctx, "LookupInvoice", hash)
	invoice, err := n.Node.LookupInvoice(ctx, hash)
	end(unexpected(err))

	return invoice, err
}

// CancelInvoice implements Node.
func (n traced) CancelInvoice(ctx context.Context, hash Hash) error {
	ctx, end := n.step(ctx, "CancelInvoice", hash)
	err := n.Node.CancelInvoice(ctx, hash)
	end(unexpected(err))

	return err
}

// HighestIndexes implements Node.
func (n traced) HighestIndexes(ctx context.Context) (Indexes, error) {
	ctx, end := n.step(ctx, "HighestIndexes", Hash{})
	indexes, err := n.Node.HighestIndexes(ctx)
	end(err)

	return indexes, err
}

// ReceivableMsat implements Node.
func (n traced) ReceivableMsat(ctx context.Context) (payments.Msat, error) {
	ctx, end := n.step(ctx, "ReceivableMsat", Hash{})
	amount, err := n.Node.ReceivableMsat(ctx)
	end(err)

	return amount, err
}

// SendPayment implements Node.
func (n traced) SendPayment(ctx context.Context, request SendRequest) (*Payment, error) {
	ctx, end := n.step(ctx, "SendPayment", Hash{})
	last, err := n.Node.SendPayment(ctx, request)
	end(err)

	return last, err
}

// TrackPayment implements Node.
func (n traced) TrackPayment(ctx context.Context, hash Hash) (Payment, error) {
	ctx, end := n.step(ctx, "TrackPayment", hash)
	payment, err := n.Node.TrackPayment(ctx, hash)
	end(unexpected(err))

	return payment, err
}

// HTLCsOf implements Node.
func (n traced) HTLCsOf(ctx context.Context, hash Hash) (HTLCs, error) {
	ctx, end := n.step(ctx, "HTLCsOf", hash)
	htlcs, err := n.Node.HTLCsOf(ctx, hash)
	end(err)

	return htlcs, err
}

// EstimateFee implements Node.
func (n traced) EstimateFee(ctx context.Context, request RouteRequest) (payments.Msat, error) {
	ctx, end := n.step(ctx, "EstimateFee", Hash{})
	fee, err := n.Node.EstimateFee(ctx, request)
	end(unexpected(err))

	return fee, err
}

// ComingUp implements Node.
func (n traced) ComingUp(ctx context.Context) (bool, error) {
	ctx, end := n.step(ctx, "ComingUp", Hash{})
	coming, err := n.Node.ComingUp(ctx)
	end(err)

	return coming, err
}
