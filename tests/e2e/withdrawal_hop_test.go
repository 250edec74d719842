package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// sold is an invoice of the shop, which is paid over the payer.
func (c *client) sold(t *testing.T, amount payments.Msat) string {
	t.Helper()
	invoice, err := c.Net.Shop.Lightning.AddInvoice(t.Context(), &lnrpc.Invoice{ValueMsat: int64(amount), Expiry: 3600})
	require.NoError(t, err)

	return invoice.PaymentRequest
}

// hopFee is what the payer takes for that: lnd's defaults of 1 sat and 1 ppm.
func hopFee(amount payments.Msat) int64 { return 1000 + int64(amount)/1_000_000 }

// The routing fee is the node's, to the millisatoshi, and what is left of its
// limit comes back.
func TestWithdrawalOverAHop(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 5000)
	const amount = 3_000_123
	bolt11 := c.sold(t, amount)
	status, quote, _ := c.call(t, "POST", "/v1/withdrawals/quote", fmt.Sprintf(`{"bolt11":%q}`, bolt11))
	require.Equal(t, http.StatusOK, status, quote)
	require.EqualValues(t, hopFee(amount), quote["estimated_fee_msat"])
	limit, _ := quote["max_fee_msat"].(float64)
	maxFee := int64(limit)

	withdrawal := c.overAs(t, text(c.withdraw(t, bolt11, ""), "id"), 20*time.Second, "")
	require.Equal(t, c.Net.Shop.Config.Pubkey, withdrawal["destination"])
	require.EqualValues(t, hopFee(amount), withdrawal["fee_msat"])
	require.EqualValues(t, maxFee, withdrawal["max_fee_msat"])
	require.Equal(t, hopFee(amount), c.records(t, bolt11)[0].FeeMsat)
	c.requireReceived(t, withdrawal, amount)
	c.requireBalance(t, 5_000_000-amount-hopFee(amount), 0)
	require.Equal(t, []string{
		"charge_settled 5000000", fmt.Sprintf("withdrawal_lock %d", amount+maxFee), "withdrawal_post 3000123",
		"withdrawal_fee 1003", fmt.Sprintf("withdrawal_release %d", maxFee-1003),
	}, c.transfers(t))
	c.agrees(t)
}

// A fee limit below what the route costs fails without a trace; the same invoice
// can be paid with one that is just enough.
func TestWithdrawalWhoseFeeLimitIsTooLow(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 100)
	const amount = 20_000
	bolt11 := c.sold(t, amount)
	for _, limit := range []int64{0, hopFee(amount) - 1} {
		id := text(c.withdraw(t, bolt11, fmt.Sprintf(`,"max_fee_msat":%d`, limit)), "id")
		c.overAs(t, id, 20*time.Second, payments.FailureInsufficientFee)
		c.requireBalance(t, 100_000, 0)
	}
	id := text(c.withdraw(t, bolt11, fmt.Sprintf(`,"max_fee_msat":%d`, hopFee(amount))), "id")
	withdrawal := c.overAs(t, id, 20*time.Second, "")
	require.EqualValues(t, hopFee(amount), withdrawal["fee_msat"])
	c.requireReceived(t, withdrawal, amount)
	c.requireBalance(t, 100_000-amount-hopFee(amount), 0)
	c.agrees(t)
}
