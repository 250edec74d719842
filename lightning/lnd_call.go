package lightning

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// lnd's texts for what it gives no gRPC code to (invoices/errors.go). They
// reach us as status Unknown with exactly this message, or with it at the end
// of a wrapped one.
const (
	textDuplicate = "invoice with payment hash already exists"
	textNotFound  = "unable to locate invoice"
	// textNoInvoices is bbolt's word for "not found" before the first
	// invoice.
	textNoInvoices     = "there are no existing invoices"
	textAlreadySettled = "invoice already settled"
	// textAlreadyCanceled is swallowed by lnd itself (invoiceregistry.go,
	// cancelInvoiceImpl); it is matched in case a version lets it through.
	textAlreadyCanceled = "invoice already canceled"
)

// callError is an error without a definite meaning. Its text is for logs.
type callError struct {
	node, call string
	err        error
}

// Error names the call and the node and quotes lnd.
func (e *callError) Error() string {
	return fmt.Sprintf("lightning: %s on node %s: outcome unknown: %v", e.call, e.node, e.err)
}

// Unwrap gives gRPC's status.
func (e *callError) Unwrap() error { return e.err }

// Is makes gRPC's own codes for an ended context match the context's errors,
// which gRPC's do not.
func (e *callError) Is(target error) bool {
	code := status.Code(e.err)

	return target == context.DeadlineExceeded && code == codes.DeadlineExceeded ||
		target == context.Canceled && code == codes.Canceled
}

// unknown wraps an error that says nothing definite.
func (n *lnd) unknown(call string, err error) error {
	return &callError{node: n.name, call: call, err: err}
}

// malformed is unknown, for an answer that cannot be read.
func (n *lnd) malformed(call string, err error) error {
	n.steady.broke()

	return n.unknown(call, err)
}

// saysAny reports whether lnd answered with one of the texts. A status that
// gRPC made itself (Unavailable, DeadlineExceeded …) never matches: lnd's
// plain errors travel as Unknown, and LookupInvoice's as NotFound.
func saysAny(err error, texts ...string) bool {
	answer, ok := status.FromError(err)
	if !ok || answer.Code() != codes.Unknown && answer.Code() != codes.NotFound {
		return false
	}
	for _, text := range texts {
		if strings.HasSuffix(answer.Message(), text) {
			return true
		}
	}

	return false
}

// stubs are the raw clients of one call, whose context carries the macaroon.
type stubs struct {
	lightning lnrpc.LightningClient
	invoices  invoicesrpc.InvoicesClient
}

// call runs one unary call under the bound and its own deadline, which the
// wait for a turn counts against. lndclient's RawClientWithMacAuth does not
// apply its timeout, whatever its comment says.
func (n *lnd) call(ctx context.Context, timeout time.Duration, do func(context.Context, stubs) error) error {
	return n.bounded(ctx, timeout, func(ctx context.Context) error {
		// Both clients use the same custom macaroon: attach it once.
		ctx, _, lightning := n.services.Client.RawClientWithMacAuth(ctx)
		_, _, invoices := n.services.Invoices.RawClientWithMacAuth(context.Background())

		return do(ctx, stubs{lightning: lightning, invoices: invoices})
	})
}

// spend is call with the macaroon that pays.
func (n *lnd) spend(
	ctx context.Context, timeout time.Duration, do func(context.Context, lnrpc.LightningClient) error,
) error {
	return n.bounded(ctx, timeout, func(ctx context.Context) error {
		_, _, lightning := n.services.Client.RawClientWithMacAuth(context.Background())

		return do(n.withSpend(ctx), lightning)
	})
}

// bounded waits for a turn and judges the answer.
func (n *lnd) bounded(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := n.calls.Acquire(ctx, 1); err != nil {
		// Nobody was asked.
		return err
	}
	defer n.calls.Release(1)
	if ctx.Value(advisory{}) != nil {
		return do(ctx)
	}
	began := n.steady.begin()

	return n.steady.judge(began, do(ctx))
}

// advisory marks the context of a call that says nothing about payments: what
// it fails with must not hold up conclusions about them. A client chooses the
// invoice of a quote, some callers wait for such an answer but a moment, and a
// macaroon from before may not allow it.
type advisory struct{}

// withAdvice marks ctx so.
func withAdvice(ctx context.Context) context.Context {
	return context.WithValue(ctx, advisory{}, true)
}

// router is the raw client, without a macaroon: see withSpend.
func (n *lnd) router() routerrpc.RouterClient {
	_, _, router := n.services.Router.RawClientWithMacAuth(context.Background())

	return router
}

// withSpend attaches the macaroon that pays. lnd reads only one
// (macaroons/service.go), so the context must not have another.
func (n *lnd) withSpend(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "macaroon", n.spendMacaroon)
}

// errMalformed means lnd answered something that cannot be.
var errMalformed = errors.New("malformed answer")
