package lntpay

import (
	"net/http"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	t.Setenv(EnvAPIKey, "")
	t.Setenv(EnvBaseURL, "")
	_, err := New(Options{})
	if err == nil {
		t.Fatal("a client without a key")
	}
	if _, err := New(Options{APIKey: "lnt_sandbox_a"}); err == nil {
		t.Fatal("a key that goes nobody knows where")
	}
	t.Setenv(EnvAPIKey, "lnt_sandbox_b")
	t.Setenv(EnvBaseURL, "http://127.0.0.1:8080/v1/")
	c, err := New(Options{})
	noError(t, err)
	equal(t, "lnt_sandbox_b", c.apiKey)
	equal(t, "http://127.0.0.1:8080", c.baseURL)
	c, err = New(Options{APIKey: "lnt_sandbox_c", BaseURL: "https://example.com/pay"})
	noError(t, err)
	equal(t, "lnt_sandbox_c", c.apiKey)
	equal(t, "https://example.com/pay", c.baseURL)
	equal(t, DefaultMaxRetries, c.maxRetries)
	for _, wrong := range []string{"127.0.0.1:8080", "ftp://example.com", "https://", "https://a:b@example.com", "https://example.com?x=1"} {
		if _, err := New(Options{APIKey: "lnt_sandbox_d", BaseURL: wrong}); err == nil {
			t.Fatal(wrong)
		}
	}
	if _, err := New(Options{APIKey: "lnt_sandbox_a\n", BaseURL: "https://example.com"}); err == nil {
		t.Fatal("a key with a line break")
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	day := time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600))
	for name, of := range map[string]struct {
		call       func(*Client) error
		want, body string
	}{
		"charge": {func(c *Client) error {
			_, err := c.Charges.Create(ctx, ChargeParams{AmountMsat: 21 * Sat, ExpiresIn: 90 * time.Second, ExternalID: "x"})

			return err
		}, "POST /v1/charges", `{"amount_msat":21000,"external_id":"x","expires_in":90}`},
		"cancel": {func(c *Client) error {
			_, err := c.Charges.Cancel(ctx, "ch_1")

			return err
		}, "POST /v1/charges/ch_1/cancel", ""},
		"usage": {func(c *Client) error {
			_, err := c.Charges.Usage(ctx, UsageParams{From: day, Interval: Day})

			return err
		}, "GET /v1/charges/usage?from=2026-01-31T11%3A00%3A00Z&interval=day", ""},
		"charges": {func(c *Client) error {
			return drain(c.Charges.List(ctx, ChargeFilter{Status: ChargePaid, ExternalID: "a b", CreatedBefore: day, PageSize: 7}))
		}, "GET /v1/charges?created_before=2026-01-31T11%3A00%3A00Z&external_id=a+b&limit=7&status=paid", ""},
		"challenge": {func(c *Client) error {
			_, err := c.L402.CreateChallenge(ctx, L402ChallengeParams{
				ChargeParams: ChargeParams{AmountMsat: 21 * Sat, ExpiresIn: time.Minute}, Resource: "GET /a", Caveats: []string{"x=y"},
			})

			return err
		}, "POST /v1/l402/challenges", `{"amount_msat":21000,"expires_in":60,"resource":"GET /a","caveats":["x=y"]}`},
		"verify": {func(c *Client) error {
			_, err := c.L402.Verify(ctx, "L402 a:b", "GET /a")

			return err
		}, "POST /v1/l402/verify", `{"authorization":"L402 a:b","resource":"GET /a"}`},
		"revoke": {func(c *Client) error { return c.L402.Revoke(ctx, "ch_1") }, "DELETE /v1/l402/challenges/ch_1", ""},
		"withdrawal": {func(c *Client) error {
			_, err := c.Withdrawals.Create(ctx, WithdrawalParams{Bolt11: "lnbc1", MaxFeeMsat: new(int64(0))})

			return err
		}, "POST /v1/withdrawals", `{"bolt11":"lnbc1","max_fee_msat":0}`},
		"quote": {func(c *Client) error {
			_, err := c.Withdrawals.Quote(ctx, QuoteParams{Bolt11: "lnbc1", AmountMsat: 5})

			return err
		}, "POST /v1/withdrawals/quote", `{"bolt11":"lnbc1","amount_msat":5}`},
		"withdrawals": {func(c *Client) error {
			return drain(c.Withdrawals.List(ctx, WithdrawalFilter{Status: WithdrawalInFlight}))
		}, "GET /v1/withdrawals?limit=100&status=in_flight", ""},
		"balance": {func(c *Client) error {
			_, err := c.Ledger.Balance(ctx)

			return err
		}, "GET /v1/balance", ""},
		"transfers": {func(c *Client) error {
			return drain(c.Ledger.Transfers(ctx, TransferFilter{Ref: "ch_1", Kind: "charge_settled"}))
		}, "GET /v1/ledger/transfers?kind=charge_settled&limit=100&ref=ch_1", ""},
		"key": {func(c *Client) error {
			_, err := c.Keys.Create(ctx, KeyParams{Name: "n", Scopes: []Scope{ScopeLedgerRead}})
			errorIs(t, err, ErrSecretLost)

			return nil
		}, "POST /v1/keys", `{"name":"n","scopes":["ledger:read"]}`},
		"keys":       {func(c *Client) error { return drain(c.Keys.List(ctx)) }, "GET /v1/keys?limit=100", ""},
		"delete key": {func(c *Client) error { return c.Keys.Delete(ctx, "key_1") }, "DELETE /v1/keys/key_1", ""},
		"endpoint": {func(c *Client) error {
			_, err := c.WebhookEndpoints.Create(ctx, WebhookEndpointParams{URL: "https://a", Events: []EventType{AllEvents}})
			errorIs(t, err, ErrSecretLost)

			return nil
		}, "POST /v1/webhooks/endpoints", `{"url":"https://a","events":["*"]}`},
		"get endpoint": {func(c *Client) error {
			_, err := c.WebhookEndpoints.Get(ctx, "we_1")

			return err
		}, "GET /v1/webhooks/endpoints/we_1", ""},
		"endpoints": {func(c *Client) error { return drain(c.WebhookEndpoints.List(ctx)) }, "GET /v1/webhooks/endpoints?limit=100", ""},
		"update endpoint": {func(c *Client) error {
			_, err := c.WebhookEndpoints.Update(ctx, "we_1", WebhookEndpointChange{Status: EndpointDisabled, Description: new("")})

			return err
		}, "PATCH /v1/webhooks/endpoints/we_1", `{"status":"disabled","description":""}`},
		"delete endpoint": {func(c *Client) error { return c.WebhookEndpoints.Delete(ctx, "we_1") }, "DELETE /v1/webhooks/endpoints/we_1", ""},
		"rotate": {func(c *Client) error {
			_, err := c.WebhookEndpoints.RotateSecret(ctx, "we_1", 0)
			errorIs(t, err, ErrSecretLost)

			return nil
		}, "POST /v1/webhooks/endpoints/we_1/rotate-secret", `{"overlap_seconds":0}`},
		"test": {func(c *Client) error {
			_, err := c.WebhookEndpoints.Test(ctx, "we_1")

			return err
		}, "POST /v1/webhooks/endpoints/we_1/test", ""},
		"delivery": {func(c *Client) error {
			_, err := c.Deliveries.Get(ctx, "dlv_1")

			return err
		}, "GET /v1/webhooks/deliveries/dlv_1", ""},
		"deliveries": {func(c *Client) error {
			return drain(c.Deliveries.List(ctx, DeliveryFilter{EventID: "evt_1", EndpointID: "we_1", Status: DeliveryFailed}))
		}, "GET /v1/webhooks/deliveries?endpoint_id=we_1&event_id=evt_1&limit=100&status=failed", ""},
		"redeliver": {func(c *Client) error {
			_, err := c.Deliveries.Redeliver(ctx, "dlv_1")

			return err
		}, "POST /v1/webhooks/deliveries/dlv_1/redeliver", ""},
		"sandbox pay": {func(c *Client) error {
			_, err := c.Sandbox.PayCharge(ctx, "ch_1", SandboxPaymentParams{AmountMsat: 5})

			return err
		}, "POST /v1/sandbox/charges/ch_1/pay", `{"amount_msat":5}`},
		"sandbox invoice": {func(c *Client) error {
			_, err := c.Sandbox.CreateInvoice(ctx, SandboxInvoiceParams{AmountMsat: 5, Behaviour: SandboxHold})

			return err
		}, "POST /v1/sandbox/invoices", `{"amount_msat":5,"behaviour":"hold"}`},
		"sandbox release": {func(c *Client) error {
			_, err := c.Sandbox.ReleaseInvoice(ctx, "sbi_1")

			return err
		}, "POST /v1/sandbox/invoices/sbi_1/release", ""},
		"sandbox cancel": {func(c *Client) error {
			_, err := c.Sandbox.CancelInvoice(ctx, "sbi_1")

			return err
		}, "POST /v1/sandbox/invoices/sbi_1/cancel", ""},
		"event": {func(c *Client) error {
			_, err := c.Events.Get(ctx, "evt_1")

			return err
		}, "GET /v1/events/evt_1", ""},
		"events": {func(c *Client) error {
			return drain(c.Events.List(ctx, EventFilter{Type: EventChargePaid}))
		}, "GET /v1/events?limit=100&type=charge.paid", ""},
	} {
		c, server := play(t, answer(http.StatusOK, `{"object":"list","has_more":false,"next_cursor":null}`))
		noError(t, of.call(c))
		got := server.requests()
		equal(t, 1, len(got))
		equal(t, of.want, got[0].method+" "+got[0].path)
		equal(t, of.body, got[0].body)
		equal(t, "Bearer lnt_sandbox_test", got[0].header.Get("Authorization"))
		equal(t, got[0].method == http.MethodPost && name != "quote" && name != "verify", got[0].header.Get("Idempotency-Key") != "")
		equal(t, of.body != "", got[0].header.Get("Content-Type") == "application/json")
	}
}

// What cannot be sent is refused before it is.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	c, server := play(t, answer(http.StatusOK, `{}`))
	for _, id := range []string{"", "..", "a/b", "a?b", "ch_1\n"} {
		if _, err := c.Charges.Get(t.Context(), id); err == nil {
			t.Fatal(id)
		}
		if _, err := c.Withdrawals.Wait(t.Context(), id); err == nil {
			t.Fatal(id)
		}
	}
	for _, key := range []string{"", "é", "a\nb", string(make([]byte, 256))} {
		if _, err := c.Charges.Create(t.Context(), ChargeParams{}, WithIdempotencyKey(key)); err == nil {
			t.Fatal(key)
		}
	}
	equal(t, 0, len(server.requests()))
}

// A POST that is redirected would become a GET.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	c, server := play(t, answer(http.StatusFound, "", "Location", "/v1/charges"))
	_, err := c.Charges.Create(t.Context(), ChargeParams{AmountMsat: 1})
	equal(t, http.StatusFound, errorAs[*Error](t, err).Status)
	equal(t, 1, len(server.requests()))
}
