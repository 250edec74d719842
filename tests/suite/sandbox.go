package suite

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// play makes a sandbox POST, which must be answered with the status.
func (c *Client) play(t *testing.T, status int, path, body string, headers ...string) Object {
	t.Helper()
	got, answer, _ := c.Call(t, "POST", "/v1/sandbox/"+path, body, headers...)
	require.Equal(t, status, got, answer)

	return answer
}

// playRefused makes one that is refused.
func (c *Client) playRefused(t *testing.T, code payments.Code, path, body string) {
	t.Helper()
	status := payments.NewProblem(code, "").Status
	require.EqualValues(t, code, c.play(t, status, path, body)["code"])
}

// paymentHashOf is the payment hash of an object.
func paymentHashOf(t *testing.T, o Object) lightning.Hash {
	t.Helper()
	hash, err := lightning.ParseHash(Text(o, "payment_hash"))
	require.NoError(t, err)

	return hash
}

func testSandboxPaysACharge(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url, got := c.Receive(t)
	c.Subscribe(t, url)
	charge := c.Charge(t, 21, "")
	path := "charges/" + Text(charge, "id") + "/pay"
	accepted := c.play(t, http.StatusAccepted, path, "", "Idempotency-Key", "one")
	require.Equal(t, charge["id"], accepted["charge_id"])
	require.EqualValues(t, 21_000, accepted["amount_msat"])
	paid := c.Await(t, Text(charge, "id"))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 21_000, paid["amount_paid_msat"])
	require.Contains(t, string(Next(t, got).Body), "charge.paid")
	c.requireEnded(t, "sandbox/"+Text(accepted, "id"))

	again := c.play(t, http.StatusAccepted, path, "", "Idempotency-Key", "one")
	require.Equal(t, accepted, again, "the first answer, also of a charge that is paid")
	c.playRefused(t, payments.CodeChargeNotPayable, path, "")
	c.RequireBooks(t, 21_000, 1)

	canceled := Text(c.Charge(t, 21, ""), "id")
	status, _, _ := c.Call(t, "POST", "/v1/charges/"+canceled+"/cancel", "")
	require.Equal(t, http.StatusOK, status)
	c.playRefused(t, payments.CodeChargeNotPayable, "charges/"+canceled+"/pay", "{}")
	other := s.NewClient(t)
	other.playRefused(t, payments.CodeNotFound, path, "")
}

// What comes above the invoice's amount is credited too.
func testSandboxOverpaysACharge(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 21, "")
	path := "charges/" + Text(charge, "id") + "/pay"
	c.playRefused(t, payments.CodeAmountOutOfRange, path, `{"amount_msat":20999}`)
	require.EqualValues(t, 30_001, c.play(t, http.StatusAccepted, path, `{"amount_msat":30001}`)["amount_msat"])
	paid := c.Await(t, Text(charge, "id"))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 21_000, paid["amount_msat"])
	require.EqualValues(t, 30_001, paid["amount_paid_msat"])
	c.RequireBooks(t, 30_001, 1)
}

// Many repeats under one key, and other orders beside them, pay once.
func testSandboxPaysOnce(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 21, "")
	path := "charges/" + Text(charge, "id") + "/pay"
	var mu sync.Mutex
	ids := map[any]bool{}
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			headers := []string{"Idempotency-Key", "one"}
			if i%4 == 0 {
				headers[1] = fmt.Sprint("other ", i)
			}
			status, answer, _ := c.Call(t, "POST", "/v1/sandbox/"+path, `{"amount_sats":21}`, headers...)
			mu.Lock()
			defer mu.Unlock()
			// Another order may come when the charge is paid.
			if status == http.StatusConflict && i%4 == 0 {
				return
			}
			require.Equal(t, http.StatusAccepted, status, answer)
			ids[answer["id"]] = true
		})
	}
	group.Wait()
	require.LessOrEqual(t, len(ids), 5)
	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])
	for id := range ids {
		c.requireEnded(t, fmt.Sprint("sandbox/", id))
	}
	invoice, err := c.Net.Merchant.Lightning.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: bytesOf(t, charge)})
	require.NoError(t, err)
	require.EqualValues(t, 21_000, invoice.AmtPaidMsat)
	c.RequireBooks(t, 21_000, 1)
}

func bytesOf(t *testing.T, o Object) []byte {
	t.Helper()
	hash := paymentHashOf(t, o)

	return hash[:]
}

func testSandboxInvoicesThatSettleAndFail(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	settles := c.play(t, http.StatusCreated, "invoices", `{"amount_sats":10,"behaviour":"settle"}`, "Idempotency-Key", "s")
	again := c.play(t, http.StatusCreated, "invoices", `{"amount_sats":10,"behaviour":"settle"}`, "Idempotency-Key", "s")
	require.Equal(t, settles, again)
	withdrawal := c.OverAs(t, Text(c.Withdraw(t, Text(settles, "bolt11"), ""), "id"), 20*time.Second, "")
	require.Equal(t, settles["payment_hash"], withdrawal["payment_hash"])
	require.Equal(t, c.Net.Payer.Config.Pubkey, withdrawal["destination"])
	c.RequireBalance(t, 90_000, 0)

	fails := c.play(t, http.StatusCreated, "invoices", `{"amount_msat":10001,"behaviour":"fail"}`)
	require.EqualValues(t, 10_001, fails["amount_msat"])
	c.OverAs(t, Text(c.Withdraw(t, Text(fails, "bolt11"), ""), "id"), 20*time.Second, payments.FailureRejectedByRecipient)
	c.RequireBalance(t, 90_000, 0)
	for _, invoice := range []Object{settles, fails} {
		c.playRefused(t, payments.CodeInvoiceNotHeld, "invoices/"+Text(invoice, "id")+"/release", "")
		c.playRefused(t, payments.CodeInvoiceNotHeld, "invoices/"+Text(invoice, "id")+"/cancel", "")
	}
	c.Agrees(t)
}

func testSandboxInvoicesThatHold(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.Fund(t, 100)
	for verb, code := range map[string]payments.FailureCode{"release": "", "cancel": payments.FailureRejectedByRecipient} {
		other := map[string]string{"release": "cancel", "cancel": "release"}[verb]
		_, before, _ := c.Call(t, "GET", "/v1/balance", "")
		held := c.play(t, http.StatusCreated, "invoices", `{"amount_sats":10,"behaviour":"hold"}`)
		path := "invoices/" + Text(held, "id") + "/"
		c.playRefused(t, payments.CodeInvoiceNotHeld, path+verb, "")
		id := Text(c.Withdraw(t, Text(held, "bolt11"), ""), "id")
		require.NoError(t, c.Net.WaitHeld(t.Context(), paymentHashOf(t, held)))
		require.Equal(t, "in_flight", c.Withdrawal(t, id)["status"])

		s.NewClient(t).playRefused(t, payments.CodeNotFound, path+verb, "")
		require.Equal(t, held, c.play(t, http.StatusOK, path+verb, "", "Idempotency-Key", "k"))
		require.Equal(t, held, c.play(t, http.StatusOK, path+verb, "", "Idempotency-Key", "k"))
		require.Equal(t, held, c.play(t, http.StatusOK, path+verb, "{}"), "again")
		c.playRefused(t, payments.CodeInvoiceNotHeld, path+other, "")
		withdrawal := c.OverAs(t, id, 40*time.Second, code)
		if code == "" {
			preimage, err := hex.DecodeString(Text(withdrawal, "preimage"))
			require.NoError(t, err)
			require.Equal(t, paymentHashOf(t, held), lightning.Preimage(preimage).Hash())
		} else {
			_, after, _ := c.Call(t, "GET", "/v1/balance", "")
			require.Equal(t, before["available_msat"], after["available_msat"])
		}
	}
	c.RequireBalance(t, 90_000, 0)
	c.Agrees(t)
}
