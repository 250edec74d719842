package api

import (
	"context"
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// estimateTimeout bounds the question to the node.
const estimateTimeout = 5 * time.Second

// quoteObject is the public shape of a quote.
type quoteObject struct {
	Object      string               `json:"object"`
	Environment payments.Environment `json:"environment"`
	AmountMsat  payments.Msat        `json:"amount_msat"`
	// EstimatedFeeMsat is null when the node knows no route now.
	EstimatedFeeMsat    *payments.Msat `json:"estimated_fee_msat"`
	MaxFeeMsat          payments.Msat  `json:"max_fee_msat"`
	TotalLockedMsat     payments.Msat  `json:"total_locked_msat"`
	AvailableMsat       payments.Msat  `json:"available_msat"`
	MaxWithdrawableMsat payments.Msat  `json:"max_withdrawable_msat"`
	Sufficient          bool           `json:"sufficient"`
}

// quoteWithdrawal is POST /v1/withdrawals/quote. It moves and stores nothing,
// so it needs no claim, and an Idempotency-Key changes nothing.
func (s *Server) quoteWithdrawal(c *call) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	in := f.invoice()
	if err := f.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	known, err := c.env.nodes.find(ctx)
	if err != nil {
		return err
	}
	paid, err := in.read(known.network, c.env.Payouts.CLTVLimitBlocks)
	if err != nil {
		return err
	}
	object, err := s.quote(ctx, c, paid, slices.Contains(known.pubkeys, paid.Destination))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, object)

	return nil
}

// quote judges by Postgres' clock. own says that the payee is a node of ours.
func (s *Server) quote(ctx context.Context, c *call, paid payment, own bool) (quoteObject, error) {
	available, _, now, err := ledger.Balance(ctx, c.env.Store.Pool, c.key.workspaceID)
	if err != nil {
		return quoteObject{}, err
	}
	if err := bolt11.CheckLife(paid.ExpiresAt, now); err != nil {
		return quoteObject{}, refuseInvoice(err)
	}
	payouts := c.env.Payouts
	payouts.MaxAmountMsat = c.maxAmount(ctx)
	object := quoteObject{
		Object: "quote", Environment: c.env.name, AmountMsat: paid.amount, AvailableMsat: available,
	}
	if own {
		// The same without a fee, which a book transfer has none of.
		object.MaxWithdrawableMsat = maxWithdrawable(config.Payouts{MaxAmountMsat: payouts.MaxAmountMsat}, available)
		object.EstimatedFeeMsat, err = c.bookFee(ctx, paid)
	} else {
		object.MaxFeeMsat = defaultMaxFee(payouts, paid.amount)
		object.MaxWithdrawableMsat = maxWithdrawable(payouts, available)
		object.EstimatedFeeMsat, err = s.estimateFee(ctx, c, paid)
	}
	object.TotalLockedMsat = object.AmountMsat + object.MaxFeeMsat
	object.Sufficient = available >= object.TotalLockedMsat

	return object, err
}

// bookFee is nothing for an open charge of this environment; anything else on
// our own node cannot be paid.
func (c *call) bookFee(ctx context.Context, paid payment) (*payments.Msat, error) {
	ok, err := c.env.Store.CanBookInvoice(ctx, db.CanBookInvoiceParams{
		PaymentHash: paid.PaymentHash[:], Bolt11: paid.Bolt11,
	})
	if err != nil {
		return nil, fmt.Errorf("find the charge of an invoice: %w", err)
	}
	if !ok {
		return nil, errInvoiceInvalid
	}

	return new(payments.Msat), nil
}

// estimateFee asks the node. What waits for a worker counts as in flight.
func (s *Server) estimateFee(ctx context.Context, c *call, paid payment) (*payments.Msat, error) {
	release, err := s.inFlight.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, estimateTimeout)
	defer cancel()
	result, err := c.env.Withdrawals.EstimateFee(ctx, workflows.QuoteInput{Bolt11: paid.Bolt11, AmountMsat: paid.amount})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	if !result.Routed {
		return nil, nil //nolint:nilnil // The node knows no route, which is an answer.
	}

	return &result.FeeMsat, nil
}

// defaultMaxFee is the fee limit of a withdrawal that names none: a share of
// the amount, rounded down, but at least the floor.
func defaultMaxFee(p config.Payouts, amount payments.Msat) payments.Msat {
	const million = 1_000_000
	share := payments.MaxMsat
	high, low := bits.Mul64(uint64(amount), uint64(max(p.DefaultMaxFeePPM, 0)))
	if high < million {
		quotient, _ := bits.Div64(high, low, million)
		share = payments.Msat(min(quotient, uint64(payments.MaxMsat)))
	}

	return min(max(share, p.DefaultMaxFeeFloorMsat, 0), payments.MaxMsat)
}

// maxWithdrawable is the largest amount that the balance covers together with
// its default fee limit, and that one withdrawal may have.
func maxWithdrawable(p config.Payouts, available payments.Msat) payments.Msat {
	limit := min(available, payments.MaxMsat)
	if p.MaxAmountMsat > 0 {
		limit = min(limit, p.MaxAmountMsat)
	}
	// The sum grows with the amount: search the first one that is too much.
	tooMuch := sort.Search(int(limit), func(i int) bool {
		amount := payments.Msat(i) + 1

		return amount+defaultMaxFee(p, amount) > available
	})

	return payments.Msat(tooMuch)
}
