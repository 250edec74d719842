package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/workflows"
)

// EstimateFee asks the node's graph what a payment would cost now. Nothing is
// sent and nothing is promised.
func (a *Withdrawals) EstimateFee(ctx context.Context, in workflows.QuoteInput) (workflows.QuoteResult, error) {
	fee, err := a.Node.EstimateFee(ctx, lightning.RouteRequest{
		Bolt11: in.Bolt11, AmountMsat: in.AmountMsat, CLTVLimit: a.Policy.CLTVLimitBlocks,
	})
	if errors.Is(err, lightning.ErrNoRoute) {
		return workflows.QuoteResult{}, nil
	}
	if err != nil {
		return workflows.QuoteResult{}, fmt.Errorf("estimate a fee: %w", err)
	}

	return workflows.QuoteResult{Routed: true, FeeMsat: fee}, nil
}
