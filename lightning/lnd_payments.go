package lightning

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/zpay32"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// trackTimeout is the deadline of TrackPayment: lnd sends the present state at
// once (routing/control_tower.go, SubscribePayment).
const trackTimeout = 2500 * time.Millisecond

// SpendPermissions are the URIs of the macaroon that pays
// (Config.SpendMacaroonFile), see ReceivePermissions: invoices of others,
// nothing on the chain, and no channel is opened or closed by it. What reads
// payments and balances is here too: who can only receive need not see what
// there is. One macaroon that has both will do.
func SpendPermissions() []string {
	return []string{
		"/routerrpc.Router/SendPaymentV2",
		"/routerrpc.Router/TrackPaymentV2",
		"/routerrpc.Router/TrackPayments",
		"/lnrpc.Lightning/ListPayments",
		"/lnrpc.Lightning/QueryRoutes",
		"/lnrpc.Lightning/ListChannels",
		"/lnrpc.Lightning/PendingChannels",
		"/lnrpc.Lightning/ChannelBalance",
		"/lnrpc.Lightning/WalletBalance",
	}
}

// SendPayment implements Node. lnd commits the payment with a context of its
// own (routing/router.go, PreparePayment: context.TODO) and runs it with
// another (router_server.go, SendPaymentV2): neither ends with ours, so an
// error says nothing, and the payment may begin after it. It takes none of the
// bounded calls' places: it streams for as long as the payment lives.
//
// A bolt11 that cannot be read here is not sent: ErrPaymentRefused.
func (n *lnd) SendPayment(ctx context.Context, request SendRequest) (last *Payment, err error) {
	bolt11, err := zpay32.Decode(request.Bolt11, n.params)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrPaymentRefused, err)
	case bolt11.PaymentHash == nil || request.AmountMsat < 0 || request.FeeLimitMsat < 0:
		return nil, fmt.Errorf("%w: no payment hash, or a negative amount", ErrPaymentRefused)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	began := n.steady.begin()
	stream, err := n.router().SendPaymentV2(n.withSpend(ctx), sendRequest(request))
	for err == nil {
		var update *lnrpc.Payment
		if update, err = stream.Recv(); err != nil {
			break
		}
		payment, malformed := paymentFromRPC(update)
		if malformed == nil && payment.PaymentHash != Hash(*bolt11.PaymentHash) {
			malformed = fmt.Errorf("%w: another payment's hash", errMalformed)
		}
		if malformed != nil {
			return last, n.malformed("SendPaymentV2", malformed)
		}
		n.steady.good(began)
		if last = &payment; payment.State != PaymentInFlight {
			return last, nil
		}
	}

	return last, n.sendFailed(ctx, began, last, err)
}

// sendRequest is what lnd is asked. A timeout below a second would be lnd's
// default of 60.
func sendRequest(request SendRequest) *routerrpc.SendPaymentRequest {
	return &routerrpc.SendPaymentRequest{
		PaymentRequest: request.Bolt11,
		AmtMsat:        int64(request.AmountMsat),
		FeeLimitMsat:   int64(request.FeeLimitMsat),
		CltvLimit:      int32(min(request.CLTVLimit, math.MaxInt32)),
		TimeoutSeconds: int32(max(1, min(request.Timeout/time.Second, math.MaxInt32))),
		MaxParts:       request.MaxParts,
	}
}

// sendFailed gives the end of a send's stream its meaning. Once anything was
// read from it, nothing is definite.
func (n *lnd) sendFailed(ctx context.Context, began uint64, last *Payment, err error) error {
	if errors.Is(err, io.EOF) {
		err = errStreamEnded
	}
	if last != nil && ctx.Err() != nil {
		// Our own deadline ended a stream that was in order.
		return n.unknown("SendPaymentV2", err)
	}
	_ = n.steady.judge(began, err)
	switch {
	case last != nil:
	case status.Code(err) == codes.AlreadyExists:
		return ErrPaymentExists
	case refused(err):
		return fmt.Errorf("%w: %s", ErrPaymentRefused, status.Convert(err).Message())
	}

	return n.unknown("SendPaymentV2", err)
}

// TrackPayment implements Node. The first message of the stream is the present
// state; NotFound is lnd's code (router_server.go, subscribePayment). It takes
// no place of the bounded calls: what a withdrawal hangs on must not wait
// behind new charges.
func (n *lnd) TrackPayment(ctx context.Context, hash Hash) (Payment, error) {
	ctx, end := context.WithTimeout(ctx, trackTimeout)
	defer end()
	began := n.steady.begin()
	stream, err := n.router().TrackPaymentV2(n.withSpend(ctx), &routerrpc.TrackPaymentRequest{PaymentHash: hash[:]})
	var update *lnrpc.Payment
	if err == nil {
		update, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		err = errStreamEnded
	}
	_ = n.steady.judge(began, err)
	switch {
	case status.Code(err) == codes.NotFound:
		return Payment{}, ErrPaymentNotFound
	case err != nil:
		return Payment{}, n.unknown("TrackPaymentV2", err)
	}
	payment, err := paymentFromRPC(update)
	if err == nil && payment.PaymentHash != hash {
		err = fmt.Errorf("%w: another payment's hash", errMalformed)
	}
	if err != nil {
		return Payment{}, n.malformed("TrackPaymentV2", err)
	}

	return payment, nil
}

// SubscribePayments implements Node. lnd first sends what is in flight with
// HTLCs, then every change (control_tower.go, SubscribeAllPayments). It may
// still be about to register the subscription when onOpen is called (see
// SubscribeSettled): an end in between is not told. A payment that cannot be
// read ends the stream.
func (n *lnd) SubscribePayments(ctx context.Context, onOpen func(), handle func(Payment) error) error {
	open := func(ctx context.Context) (feed[*lnrpc.Payment], error) {
		return n.router().TrackPayments(n.withSpend(ctx), &routerrpc.TrackPaymentsRequest{})
	}

	return follow(ctx, n, "TrackPayments", open, onOpen, func(rpc *lnrpc.Payment) error {
		payment, err := paymentFromRPC(rpc)
		if err != nil {
			return n.malformed("TrackPayments", err)
		}
		if err := handle(payment); err != nil {
			return fmt.Errorf("lightning: payments of node %s: %w", n.name, err)
		}

		return nil
	})
}

// ListPayments implements Node. lnd's index_offset is exclusive going forward
// (lnrpc ListPaymentsRequest). One payment that cannot be read is an error:
// what is left out here would be money that nobody explains.
func (n *lnd) ListPayments(ctx context.Context, after, pageSize uint64, page func([]Payment) error) error {
	size := min(max(pageSize, 1), maxPage)
	for {
		answer, err := n.listPayments(ctx, &lnrpc.ListPaymentsRequest{
			IncludeIncomplete: true, IndexOffset: after, MaxPayments: size,
		})
		if err != nil {
			return err
		}
		list, err := paymentsFromList(answer.Payments)
		if err != nil {
			return n.malformed("ListPayments", err)
		}
		if len(list) > 0 {
			if err := page(list); err != nil {
				return err
			}
		}
		if uint64(len(list)) < size {
			return nil
		}
		if answer.LastIndexOffset <= after {
			return n.unknown("ListPayments", fmt.Errorf("%w: the page does not move on", errMalformed))
		}
		after = answer.LastIndexOffset
	}
}

// highestPayment is the payment index for HighestIndexes; 0 without payments.
func (n *lnd) highestPayment(ctx context.Context) (uint64, error) {
	answer, err := n.listPayments(ctx, &lnrpc.ListPaymentsRequest{
		IncludeIncomplete: true, Reversed: true, MaxPayments: 1,
	})
	if err != nil {
		return 0, err
	}
	var highest uint64
	for _, payment := range answer.Payments {
		highest = max(highest, payment.PaymentIndex)
	}

	return highest, nil
}

// listPayments reads one page.
func (n *lnd) listPayments(
	ctx context.Context, request *lnrpc.ListPaymentsRequest,
) (*lnrpc.ListPaymentsResponse, error) {
	var answer *lnrpc.ListPaymentsResponse
	err := n.spend(ctx, listTimeout, func(ctx context.Context, client lnrpc.LightningClient) (err error) {
		answer, err = client.ListPayments(ctx, request)

		return err
	})
	if err != nil {
		return nil, n.unknown("ListPayments", err)
	}

	return answer, nil
}
