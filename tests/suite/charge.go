package suite

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

func testPaidCharge(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 1000, `,"description":"one call","metadata":{"a":"b"},"external_id":"x-1"`)
	require.Equal(t, "pending", charge["status"])
	_, balance, _ := c.Call(t, "GET", "/v1/balance", "")
	require.EqualValues(t, 1_000_000, balance["pending_msat"])
	c.Pay(t, charge, 0)
	paid := c.Await(t, Text(charge, "id"))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 1_000_000, paid["amount_paid_msat"])
	require.NotNil(t, paid["paid_at"])
	require.Equal(t, Object{"a": "b"}, paid["metadata"])
	c.RequireBooks(t, 1_000_000, 1)
	transitions := c.RequireClosed(t, Text(charge, "id"))
	t.Logf("%d state transitions", transitions)
	require.LessOrEqual(t, transitions, int64(6), "the budget of a paid charge without endpoints")

	_, list, _ := c.Call(t, "GET", "/v1/charges?status=paid&external_id=x-1", "")
	require.Len(t, list["data"], 1)
	_, usage, _ := c.Call(t, "GET", "/v1/charges/usage", "")
	buckets, _ := usage["data"].([]any)
	last, _ := buckets[len(buckets)-1].(Object)
	require.EqualValues(t, 1, last["paid"])
}

func testOverpaymentIsCreditedInFull(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 100, "")
	c.Pay(t, charge, 150_500)
	paid := c.Await(t, Text(charge, "id"))
	require.EqualValues(t, 100_000, paid["amount_msat"])
	require.EqualValues(t, 150_500, paid["amount_paid_msat"])
	c.RequireBooks(t, 150_500, 1)
}

func testExpiryIsDecidedByTheNode(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 100, `,"expires_in":60`)
	require.Eventually(t, func() bool {
		return c.Await(t, Text(charge, "id"))["status"] != "pending"
	}, 100*time.Second, time.Millisecond)
	require.Equal(t, "expired", c.Await(t, Text(charge, "id"))["status"])
	require.Equal(t, lnrpc.Invoice_CANCELED, c.Invoice(t, charge).GetState())
	_, err := c.Net.Pay(t.Context(), Text(charge, "bolt11"), 100_000)
	require.Error(t, err, "what is expired cannot be paid any more")
	c.RequireBooks(t, 0, 0)
	status, problem, _ := c.Call(t, "POST", "/v1/charges/"+Text(charge, "id")+"/cancel", "")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "charge_not_cancelable", problem["code"])
}

// Invoice is the node's word.
func (c *Client) Invoice(t *testing.T, charge Object) *lnrpc.Invoice {
	t.Helper()
	hash, err := hex.DecodeString(Text(charge, "payment_hash"))
	require.NoError(t, err)
	invoice, err := c.Net.Merchant.Lightning.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: hash})
	require.NoError(t, err)

	return invoice
}

func testCancel(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 100, "")
	path := "/v1/charges/" + Text(charge, "id") + "/cancel"
	for range 2 {
		status, canceled, _ := c.Call(t, "POST", path, "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "canceled", canceled["status"])
	}
	require.Equal(t, lnrpc.Invoice_CANCELED, c.Invoice(t, charge).GetState())

	paid := c.Charge(t, 100, "")
	c.Pay(t, paid, 0)
	c.Await(t, Text(paid, "id"))
	status, problem, _ := c.Call(t, "POST", "/v1/charges/"+Text(paid, "id")+"/cancel", "")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "charge_not_cancelable", problem["code"])
	c.RequireBooks(t, 100_000, 1)
}

// Cancel and payment race: whichever wins, books and status agree with the
// node.
func testCancelRacesPayment(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	var expected int64
	var paidCount int
	for range 8 {
		charge := c.Charge(t, 10, "")
		var group sync.WaitGroup
		group.Go(func() { _, _ = c.Net.Pay(t.Context(), Text(charge, "bolt11"), 0) })
		group.Go(func() { c.Call(t, "POST", "/v1/charges/"+Text(charge, "id")+"/cancel", "") })
		group.Wait()
		ended := c.Await(t, Text(charge, "id"))
		if c.Invoice(t, charge).GetState() == lnrpc.Invoice_SETTLED {
			require.Equal(t, "paid", ended["status"])
			expected += 10_000
			paidCount++
		} else {
			require.Equal(t, "canceled", ended["status"])
		}
	}
	c.RequireBooks(t, expected, paidCount)
}

func testOneKeyOneCharge(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	const callers = 64
	ids := make(chan string, callers)
	var group sync.WaitGroup
	var replays sync.Map
	for i := range callers {
		group.Go(func() {
			status, charge, header := c.Call(t, "POST", "/v1/charges", `{"amount_sats":7}`, "Idempotency-Key", "one")
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
	_, list, _ := c.Call(t, "GET", "/v1/charges?limit=100", "")
	require.Len(t, list["data"], 1)
	status, problem, _ := c.Call(t, "POST", "/v1/charges", `{"amount_sats":8}`, "Idempotency-Key", "one")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "idempotency_key_reused", problem["code"])
}

// A run that somebody terminated in the Temporal UI only delays its charge.
func testTerminatedWorkflow(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	charge := c.Charge(t, 10, "")
	id := Text(charge, "id")
	require.NoError(t, c.Temporal.TerminateWorkflow(t.Context(), "charge/"+id, "", "an operator's mistake"))
	c.Pay(t, charge, 0)
	require.Equal(t, "paid", c.Await(t, id)["status"])
	c.RequireBooks(t, 10_000, 1)
}

func testWarnsOfInsufficientInbound(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	require.Empty(t, c.Charge(t, 10, "")["warnings"])
	big := c.Charge(t, int(payments.DefaultMaxAmount/payments.MsatPerSat), "")
	require.Equal(t, []any{"insufficient_inbound"}, big["warnings"])
}

func testBadRequestsWriteNothing(t *testing.T, s *Stack) {
	c := s.NewClient(t)
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
		"72 KiB":        {`{"amount_sats":1,"description":"` + strings.Repeat("x", 72<<10) + `"}`, "payload_too_large", 413},
	} {
		status, problem, _ := c.Call(t, "POST", "/v1/charges", b.body)
		require.Equal(t, b.status, status, name)
		require.Equal(t, b.code, problem["code"], name)
	}
	var claims int
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT count(*) FROM claim WHERE workspace_id = $1", c.WorkspaceID).Scan(&claims))
	require.Zero(t, claims)
	status, problem, _ := s.NewClient(t).Call(t, "GET", "/v1/charges/"+Text(c.Charge(t, 1, ""), "id"), "")
	require.Equal(t, http.StatusNotFound, status, "another workspace's charge does not exist")
	require.Equal(t, "not_found", problem["code"])
}
