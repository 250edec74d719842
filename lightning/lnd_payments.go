package lightning

import (
	"context"
	"errors"
	"time"

	"github.com/lntpay/lntpay/payments"
)

var errNotYet = errors.New("not implemented yet")

// SendPayment implements Node.
func (n *lnd) SendPayment(context.Context, SendRequest) (*Payment, error) {
	return nil, n.unknown("SendPaymentV2", errNotYet)
}

// TrackPayment implements Node.
func (n *lnd) TrackPayment(context.Context, Hash) (Payment, error) {
	return Payment{}, n.unknown("TrackPaymentV2", errNotYet)
}

// SubscribePayments implements Node.
func (n *lnd) SubscribePayments(context.Context, func(), func(Payment) error) error {
	return n.unknown("TrackPayments", errNotYet)
}

// ListPayments implements Node.
func (n *lnd) ListPayments(context.Context, uint64, uint64, func([]Payment) error) error {
	return n.unknown("ListPayments", errNotYet)
}

// EstimateFee implements Node.
func (n *lnd) EstimateFee(context.Context, RouteRequest) (payments.Msat, error) {
	return 0, n.unknown("QueryRoutes", errNotYet)
}

// SteadyFor implements Node.
func (n *lnd) SteadyFor() time.Duration { return 0 }
