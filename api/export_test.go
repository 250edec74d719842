package api

import (
	"context"

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

// RouteScopes is the route table, for tests that go through all of it.
func RouteScopes() map[string]string {
	scopes := map[string]string{}
	for _, r := range routes() {
		scopes[r.method+" "+r.path] = string(r.scope)
	}

	return scopes
}
