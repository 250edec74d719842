package suite

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// The limits are the defaults; a workspace's own reach no other one.
func testLimits(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	limits := c.Environment.Payouts
	c.Credit(t, limits.WorkspaceOpenMsat+limits.MaxAmountMsat)
	const amount, refused = 20_000, http.StatusUnprocessableEntity
	c.Refused(t, c.Payable(t, 0), WithAmount(limits.MaxAmountMsat+1), refused, payments.CodeLimitExceeded)

	// What is open counts with its fee limit.
	first := c.Hold(t, amount)
	id := Text(c.Withdraw(t, first.Bolt11, fmt.Sprintf(`,"max_fee_msat":%d`, limits.WorkspaceOpenMsat-2*amount)), "id")
	bolt11 := c.Payable(t, amount)
	c.Refused(t, bolt11, `,"max_fee_msat":1`, refused, payments.CodeLimitExceeded)
	c.RequireBalance(t, int64(limits.MaxAmountMsat)+amount, int64(limits.WorkspaceOpenMsat)-amount)
	within := Text(c.Withdraw(t, c.Payable(t, amount), `,"max_fee_msat":0`), "id")
	c.OverAs(t, within, 20*time.Second, "")
	c.Settle(t, first.Preimage)
	c.OverAs(t, id, 20*time.Second, "")
	again := Text(c.Withdraw(t, bolt11, `,"max_fee_msat":1`), "id")
	c.OverAs(t, again, 20*time.Second, "")
	c.RequireBalance(t, int64(limits.WorkspaceOpenMsat+limits.MaxAmountMsat)-3*amount, 0)
	c.Agrees(t)
}
