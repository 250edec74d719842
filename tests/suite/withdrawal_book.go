package suite

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// One workspace pays another's charge: no payment leaves the node.
func testBookTransfer(t *testing.T, s *Stack) {
	payer, payee := s.NewClient(t), s.NewClient(t)
	payer.Fund(t, 100)
	url, got := payee.Receive(t)
	payee.Subscribe(t, url)
	charge := payee.Charge(t, 30, "")
	began := time.Now()
	accepted := payer.Withdraw(t, "LIGHTNING:"+strings.ToUpper(Text(charge, "bolt11")), "")
	require.EqualValues(t, 0, accepted["max_fee_msat"], "a book transfer has no fee, so none is locked")
	withdrawal := payer.OverAs(t, Text(accepted, "id"), 20*time.Second, "")
	t.Logf("succeeded after %s", time.Since(began))
	require.EqualValues(t, 0, withdrawal["fee_msat"])
	requirePreimage(t, withdrawal)
	paid := payee.Await(t, Text(charge, "id"))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 30_000, paid["amount_paid_msat"])
	require.Equal(t, lnrpc.Invoice_CANCELED, payee.Invoice(t, charge).GetState())
	_, err := payer.Net.Pay(t.Context(), Text(charge, "bolt11"), 0)
	require.Error(t, err, "what is paid cannot be paid again")
	payer.RequireBalance(t, 70_000, 0)
	payee.RequireBalance(t, 30_000, 0)
	require.Equal(t, []string{"charge_settled 100000", "withdrawal_lock 30000", "withdrawal_book 30000"}, payer.Transfers(t))
	require.Equal(t, []string{"charge_settled 30000"}, payee.Transfers(t))
	require.Equal(t, []string{"charge.paid", "withdrawal.succeeded"}, payer.Events(t))
	require.Equal(t, []string{"charge.paid"}, payee.Events(t))
	var event Object
	require.NoError(t, json.Unmarshal(Next(t, got).Body, &event))
	require.Equal(t, "charge.paid", event["type"])
	t.Logf("%d state transitions of the withdrawal, %d of the charge",
		payer.requireEnded(t, "withdrawal/"+Text(accepted, "id")), payee.RequireClosed(t, Text(charge, "id")))
	payer.Refused(t, Text(charge, "bolt11"), "", http.StatusConflict, payments.CodeDuplicatePayment)
	payer.Agrees(t)
	payee.Agrees(t)
}

func testBookTransferToOneself(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	charge := c.Charge(t, 30, "")
	withdrawal := c.Withdraw(t, Text(charge, "bolt11"), "")
	c.OverAs(t, Text(withdrawal, "id"), 20*time.Second, "")
	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])
	c.RequireBalance(t, 100_000, 0)
	require.Equal(t, []string{
		"charge_settled 100000", "withdrawal_lock 30000", "withdrawal_book 30000", "charge_settled 30000",
	}, c.Transfers(t))
	require.ElementsMatch(t, []string{"charge.paid", "charge.paid", "withdrawal.succeeded"}, c.Events(t))
	c.RequireClosed(t, Text(charge, "id"))
	c.Agrees(t)
}
