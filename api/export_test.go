package api

import (
	"context"
	"time"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
)

// DefaultMaxFee and MaxWithdrawable are a quote's arithmetic.
func DefaultMaxFee(p config.Payouts, amount payments.Msat) payments.Msat {
	return defaultMaxFee(p, amount)
}

func MaxWithdrawable(p config.Payouts, available payments.Msat) payments.Msat {
	return maxWithdrawable(p, available)
}

// Watch runs what Run runs in the background, for tests that serve Handler.
func (s *Server) Watch(ctx context.Context) { s.watch(ctx) }

// StopStreams is what a shutdown begins with.
func (s *Server) StopStreams() { s.stopOnce.Do(func() { close(s.stopping) }) }

// Drain is what a stop begins with.
func (s *Server) Drain() { s.beginDrain() }

// BeatEvery sets how often streams show that they live; before any does.
func (s *Server) BeatEvery(every time.Duration) { s.heartbeatEvery = every }

// RouteScopes is the route table, for tests that go through all of it.
func RouteScopes() map[string]string {
	scopes := map[string]string{}
	for _, r := range routes() {
		scopes[r.method+" "+r.path] = string(r.scope)
	}

	return scopes
}
