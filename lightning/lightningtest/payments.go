package lightningtest

import (
	"context"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// SendPayment implements lightning.Node.
func (n *Node) SendPayment(context.Context, lightning.SendRequest) (*lightning.Payment, error) {
	return nil, ErrLost
}

// TrackPayment implements lightning.Node.
func (n *Node) TrackPayment(context.Context, lightning.Hash) (lightning.Payment, error) {
	return lightning.Payment{}, ErrLost
}

// SubscribePayments implements lightning.Node.
func (n *Node) SubscribePayments(context.Context, func(), func(lightning.Payment) error) error {
	return ErrLost
}

// ListPayments implements lightning.Node.
func (n *Node) ListPayments(context.Context, uint64, uint64, func([]lightning.Payment) error) error {
	return ErrLost
}

// EstimateFee implements lightning.Node.
func (n *Node) EstimateFee(context.Context, lightning.RouteRequest) (payments.Msat, error) {
	return 0, ErrLost
}

// SteadyFor implements lightning.Node.
func (n *Node) SteadyFor() time.Duration { return 0 }
