package e2e_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

func TestPaidCharge(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 1000, `,"description":"one call","metadata":{"a":"b"},"external_id":"x-1"`)
	require.Equal(t, "pending", charge["status"])
	_, balance, _ := c.call(t, "GET", "/v1/balance", "")
	require.EqualValues(t, 1_000_000, balance["pending_msat"])
	c.pay(t, charge, 0)
	paid := c.await(t, text(charge, "id"))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 1_000_000, paid["amount_paid_msat"])
	require.NotNil(t, paid["paid_at"])
	require.Equal(t, object{"a": "b"}, paid["metadata"])
	c.requireBooks(t, 1_000_000, 1)
	transitions := c.requireClosed(t, text(charge, "id"))
	t.Logf("%d state transitions", transitions)
	require.LessOrEqual(t, transitions, int64(6), "the budget of a paid charge without endpoints")

	_, list, _ := c.call(t, "GET", "/v1/charges?status=paid&external_id=x-1", "")
	require.Len(t, list["data"], 1)
	_, usage, _ := c.call(t, "GET", "/v1/charges/usage", "")
	buckets, _ := usage["data"].([]any)
	last, _ := buckets[len(buckets)-1].(object)
	require.EqualValues(t, 1, last["paid"])
}

func TestOverpaymentIsCreditedInFull(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 100, "")
	c.pay(t, charge, 150_500)
	paid := c.await(t, text(charge, "id"))
	require.EqualValues(t, 100_000, paid["amount_msat"])
	require.EqualValues(t, 150_500, paid["amount_paid_msat"])
	c.requireBooks(t, 150_500, 1)
}

func TestExpiryIsDecidedByTheNode(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 100, `,"expires_in":60`)
	require.Eventually(t, func() bool {
		return c.await(t, text(charge, "id"))["status"] != "pending"
	}, 100*time.Second, time.Millisecond)
	require.Equal(t, "expired", c.await(t, text(charge, "id"))["status"])
	require.Equal(t, lnrpc.Invoice_CANCELED, c.invoice(t, charge).GetState())
	_, err := c.Net.Pay(t.Context(), text(charge, "bolt11"), 100_000)
	require.Error(t, err, "what is expired cannot be paid any more")
	c.requireBooks(t, 0, 0)
	status, problem, _ := c.call(t, "POST", "/v1/charges/"+text(charge, "id")+"/cancel", "")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "charge_not_cancelable", problem["code"])
}

// invoice is the node's word.
func (c *client) invoice(t *testing.T, charge object) *lnrpc.Invoice {
	t.Helper()
	hash, err := hex.DecodeString(text(charge, "payment_hash"))
	require.NoError(t, err)
	invoice, err := c.Net.Merchant.Lightning.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: hash})
	require.NoError(t, err)

	return invoice
}

func TestCancel(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 100, "")
	path := "/v1/charges/" + text(charge, "id") + "/cancel"
	for range 2 {
		status, canceled, _ := c.call(t, "POST", path, "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "canceled", canceled["status"])
	}
	require.Equal(t, lnrpc.Invoice_CANCELED, c.invoice(t, charge).GetState())

	paid := c.charge(t, 100, "")
	c.pay(t, paid, 0)
	c.await(t, text(paid, "id"))
	status, problem, _ := c.call(t, "POST", "/v1/charges/"+text(paid, "id")+"/cancel", "")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "charge_not_cancelable", problem["code"])
	c.requireBooks(t, 100_000, 1)
}

// Cancel and payment race: whichever wins, books and status agree with the
// node.
func TestCancelRacesPayment(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	var expected int64
	var paidCount int
	for range 8 {
		charge := c.charge(t, 10, "")
		var group sync.WaitGroup
		group.Go(func() { _, _ = c.Net.Pay(t.Context(), text(charge, "bolt11"), 0) })
		group.Go(func() { c.call(t, "POST", "/v1/charges/"+text(charge, "id")+"/cancel", "") })
		group.Wait()
		ended := c.await(t, text(charge, "id"))
		if c.invoice(t, charge).GetState() == lnrpc.Invoice_SETTLED {
			require.Equal(t, "paid", ended["status"])
			expected += 10_000
			paidCount++
		} else {
			require.Equal(t, "canceled", ended["status"])
		}
	}
	c.requireBooks(t, expected, paidCount)
}

func TestOneKeyOneCharge(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	const callers = 64
	ids := make(chan string, callers)
	var group sync.WaitGroup
	var replays sync.Map
	for i := range callers {
		group.Go(func() {
			status, charge, header := c.call(t, "POST", "/v1/charges", `{"amount_sats":7}`, "Idempotency-Key", "one")
			if status != http.StatusCreated {
				t.Errorf("status %d: %v", status, charge)
			}
			if header.Get("Idempotent-Replayed") == "true" {
				replays.Store(i, true)
			}
			ids <- fmt.Sprint(charge)
		})
	}
	group.Wait()
	close(ids)
	first := <-ids
	for other := range ids {
		require.Equal(t, first, other)
	}
	var replayed int
	replays.Range(func(any, any) bool { replayed++; return true })
	require.Equal(t, callers-1, replayed)
	_, list, _ := c.call(t, "GET", "/v1/charges?limit=100", "")
	require.Len(t, list["data"], 1)
	status, problem, _ := c.call(t, "POST", "/v1/charges", `{"amount_sats":8}`, "Idempotency-Key", "one")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "idempotency_key_reused", problem["code"])
}

// A run that somebody terminated in the Temporal UI only delays its charge.
func TestTerminatedWorkflow(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 10, "")
	id := text(charge, "id")
	require.NoError(t, c.Temporal.TerminateWorkflow(t.Context(), "charge/"+id, "", "an operator's mistake"))
	c.pay(t, charge, 0)
	require.Equal(t, "paid", c.await(t, id)["status"])
	c.requireBooks(t, 10_000, 1)
}

func TestWarnsOfInsufficientInbound(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	require.Empty(t, c.charge(t, 10, "")["warnings"])
	big := c.charge(t, int(payments.DefaultMaxAmount/payments.MsatPerSat), "")
	require.Equal(t, []any{"insufficient_inbound"}, big["warnings"])
}

func TestBadRequestsWriteNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for name, b := range map[string]struct {
		body, code string
		status     int
	}{
		"not JSON":      {`amount`, "invalid_request", 400},
		"unknown field": {`{"amount_sats":1,"x":1}`, "invalid_request", 400},
		"both amounts":  {`{"amount_sats":1,"amount_msat":1000}`, "invalid_request", 400},
		"float":         {`{"amount_sats":1.5}`, "invalid_request", 400},
		"zero":          {`{"amount_sats":0}`, "amount_out_of_range", 422},
		"negative":      {`{"amount_msat":-1}`, "amount_out_of_range", 422},
		"beyond int64":  {`{"amount_msat":99999999999999999999}`, "amount_out_of_range", 422},
		"2 MiB":         {`{"amount_sats":1,"description":"` + strings.Repeat("x", 2<<20) + `"}`, "payload_too_large", 413},
	} {
		status, problem, _ := c.call(t, "POST", "/v1/charges", b.body)
		require.Equal(t, b.status, status, name)
		require.Equal(t, b.code, problem["code"], name)
	}
	var claims int
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT count(*) FROM claim WHERE workspace_id = $1", c.workspaceID).Scan(&claims))
	require.Zero(t, claims)
	status, problem, _ := newClient(t).call(t, "GET", "/v1/charges/"+text(c.charge(t, 1, ""), "id"), "")
	require.Equal(t, http.StatusNotFound, status, "another workspace's charge does not exist")
	require.Equal(t, "not_found", problem["code"])
}
