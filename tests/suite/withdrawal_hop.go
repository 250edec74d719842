package suite

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// Sold is an invoice of the shop, which is paid over the payer.
func (c *Client) Sold(t *testing.T, amount payments.Msat) string {
	t.Helper()
	invoice, err := c.Net.Shop.Lightning.AddInvoice(t.Context(), &lnrpc.Invoice{ValueMsat: int64(amount), Expiry: 3600})
	require.NoError(t, err)

	return invoice.PaymentRequest
}

// HopFee is what the payer takes for that: lnd's defaults of 1 sat and 1 ppm.
func HopFee(amount payments.Msat) int64 { return 1000 + int64(amount)/1_000_000 }

// The routing fee is the node's, to the millisatoshi, and what is left of its
// limit comes back.
func testWithdrawalOverAHop(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 5000)
	const amount = 3_000_123
	bolt11 := c.Sold(t, amount)
	status, quote, _ := c.Call(t, "POST", "/v1/withdrawals/quote", fmt.Sprintf(`{"bolt11":%q}`, bolt11))
	require.Equal(t, http.StatusOK, status, quote)
	require.EqualValues(t, HopFee(amount), quote["estimated_fee_msat"])
	limit, _ := quote["max_fee_msat"].(float64)
	maxFee := int64(limit)

	withdrawal := c.OverAs(t, Text(c.Withdraw(t, bolt11, ""), "id"), 20*time.Second, "")
	require.Equal(t, c.Net.Shop.Config.Pubkey, withdrawal["destination"])
	require.EqualValues(t, HopFee(amount), withdrawal["fee_msat"])
	require.EqualValues(t, maxFee, withdrawal["max_fee_msat"])
	require.Equal(t, HopFee(amount), c.Records(t, bolt11)[0].FeeMsat)
	c.RequireReceived(t, withdrawal, amount)
	c.RequireBalance(t, 5_000_000-amount-HopFee(amount), 0)
	require.Equal(t, []string{
		"charge_settled 5000000", fmt.Sprintf("withdrawal_lock %d", amount+maxFee), "withdrawal_post 3000123",
		"withdrawal_fee 1003", fmt.Sprintf("withdrawal_release %d", maxFee-1003),
	}, c.Transfers(t))
	c.Agrees(t)
}

// A fee limit below what the route costs fails without a trace; the same invoice
// can be paid with one that is just enough.
func testWithdrawalWhoseFeeLimitIsTooLow(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	const amount = 20_000
	bolt11 := c.Sold(t, amount)
	for _, limit := range []int64{0, HopFee(amount) - 1} {
		id := Text(c.Withdraw(t, bolt11, fmt.Sprintf(`,"max_fee_msat":%d`, limit)), "id")
		c.OverAs(t, id, 20*time.Second, payments.FailureInsufficientFee)
		c.RequireBalance(t, 100_000, 0)
	}
	id := Text(c.Withdraw(t, bolt11, fmt.Sprintf(`,"max_fee_msat":%d`, HopFee(amount))), "id")
	withdrawal := c.OverAs(t, id, 20*time.Second, "")
	require.EqualValues(t, HopFee(amount), withdrawal["fee_msat"])
	c.RequireReceived(t, withdrawal, amount)
	c.RequireBalance(t, 100_000-amount-HopFee(amount), 0)
	c.Agrees(t)
}
