package examples_test

import (
	"net/http"
	"strings"
)

// rows are the walk: every operation once and more, in an order that tells a
// story. A new operation gets a row here; `make record-examples` then writes
// its example.
var rows = []row{
	{operation: "createWebhookEndpoint", name: "endpoint", status: 201, body: `{"url":"${receiver}","events":["*"],"description":"the shop"}`},
	{operation: "createCharge", name: "sats", status: 201, key: "order-42",
		body: `{"amount_sats":1000,"description":"One coffee","metadata":{"order":"42"},"external_id":"order-42"}`},
	{operation: "getCharge", name: "pending", status: 200, id: "${sats.id}"},
	{before: pay("${sats.bolt11}"), operation: "getCharge", name: "paid", status: 200, id: "${sats.id}", query: "wait=30"},
	{operation: "createCharge", name: "msat", status: 201, body: `{"amount_msat":1500,"expires_in":600}`},
	{operation: "getBalance", name: "balance", status: 200},
	{operation: "cancelCharge", name: "canceled", status: 200, id: "${msat.id}"},
	{operation: "listCharges", name: "paid", status: 200, query: "status=paid&external_id=order-42"},
	{operation: "chargeUsage", name: "today", status: 200, query: "interval=day&from=${today}"},

	{operation: "createL402Challenge", name: "plain", status: 201, key: "visit-7", body: `{"amount_sats":21,"resource":"GET /forecast"}`},
	{operation: "createL402Challenge", name: "narrowed", status: 201,
		body: `{"amount_sats":21,"resource":"GET /forecast","caveats":["lntpay_valid_until=4102444800","city=Berlin"]}`},
	{before: payFor("preimage", "${plain.charge.bolt11}"), operation: "verifyL402", name: "valid", status: 200,
		body: `{"authorization":"L402 ${plain.macaroon}:${preimage}","resource":"GET /forecast"}`},
	{operation: "verifyL402", name: "unpaid", status: 200,
		body: `{"authorization":"L402 ${narrowed.macaroon}:` + strings.Repeat("0", 64) + `","resource":"GET /forecast"}`},
	{operation: "revokeL402Challenge", name: "revoked", status: 204, id: "${narrowed.id}"},

	{before: invoice("bolt11", 200_000), operation: "quoteWithdrawal", name: "enough", status: 200, body: `{"bolt11":"${bolt11}"}`},
	{operation: "createWithdrawal", name: "invoice", status: 201, key: "payout-42",
		body: `{"bolt11":"${bolt11}","description":"Payout 42","metadata":{"user":"7"}}`},
	{operation: "getWithdrawal", name: "succeeded", status: 200, id: "${invoice.id}", query: "wait=30"},
	{before: invoice("open", 0), operation: "createWithdrawal", name: "amountless", status: 201, key: "payout-43",
		body: `{"bolt11":"${open}","amount_sats":100,"max_fee_sats":10}`},
	{operation: "getWithdrawal", status: 200, id: "${amountless.id}", query: "wait=30"},
	{before: holdInvoice("refused", 100_000), operation: "createWithdrawal", name: "-refused", status: 201, key: "payout-44",
		body: `{"bolt11":"${refused}"}`},
	{before: cancelHeld, operation: "getWithdrawal", name: "failed", status: 200, id: "${-refused.id}", query: "wait=30", until: hasFailed},
	// The node is first asked about it after 20 seconds: see below.
	{before: holdInvoice("held", 100_000), operation: "createWithdrawal", name: "-held", status: 201, key: "payout-45",
		body: `{"bolt11":"${held}"}`},
	{operation: "listWithdrawals", name: "page", status: 200, query: "status=succeeded&limit=1"},
	{operation: "listTransfers", name: "withdrawal", status: 200, query: "ref=${invoice.id}"},

	{operation: "listEvents", name: "paid", status: 200, query: "type=charge.paid"},
	{operation: "getEvent", name: "charge_paid", status: 200, id: "${paid events.data.0.id}"},
	{operation: "streamEvents", name: "after", status: 200, after: "${paid events.data.0.id}"},
	{operation: "listDeliveries", name: "succeeded", status: 200,
		query: "event_id=${paid events.data.0.id}&status=succeeded", until: isNotEmpty},
	{operation: "redeliver", name: "again", status: 202, id: "${succeeded deliveries.data.0.id}"},
	{operation: "createWebhookEndpoint", name: "-failing", status: 201, body: `{"url":"${broken receiver}","events":["webhook.test"]}`},
	{operation: "testWebhookEndpoint", name: "test", status: 202, id: "${-failing.id}"},
	{operation: "getDelivery", name: "failing", status: 200, id: "${test.id}", until: isTried},
	{operation: "listWebhookEndpoints", name: "page", status: 200},
	{operation: "getWebhookEndpoint", name: "endpoint", status: 200, id: "${endpoint.id}"},
	{operation: "rotateWebhookSecret", name: "hour", status: 200, id: "${endpoint.id}", body: `{"overlap_seconds":3600}`},
	{operation: "updateWebhookEndpoint", name: "disable", status: 200, id: "${-failing.id}", body: `{"status":"disabled"}`},

	{operation: "createKey", name: "reader", status: 201, body: `{"name":"dashboard","scopes":["charges:read","ledger:read"]}`},
	{operation: "listKeys", name: "page", status: 200},

	{operation: "createCharge", name: "-sandbox", status: 201, body: `{"amount_sats":5}`},
	{operation: "paySandboxCharge", name: "pay", status: 202, id: "${-sandbox.id}", body: `{"amount_sats":6}`},
	{operation: "createSandboxInvoice", name: "hold", status: 201, body: `{"amount_sats":5,"behaviour":"hold"}`},
	{operation: "createWithdrawal", name: "-released", status: 201, key: "sandbox-1", body: `{"bolt11":"${hold.bolt11}"}`},
	{before: awaitHeld("${hold.payment_hash}"), operation: "releaseSandboxInvoice", name: "released", status: 200, id: "${hold.id}"},
	{operation: "createSandboxInvoice", name: "-hold", status: 201, body: `{"amount_sats":5,"behaviour":"hold"}`},
	{operation: "createWithdrawal", name: "-canceled", status: 201, key: "sandbox-2", body: `{"bolt11":"${-hold.bolt11}"}`},
	{before: awaitHeld("${-hold.payment_hash}"), operation: "cancelSandboxInvoice", name: "canceled", status: 200, id: "${-hold.id}"},

	{operation: "getWithdrawal", name: "in_flight", status: 200, id: "${-held.id}", until: isInFlight},

	{operation: "listCharges", name: "invalid_request", status: 400, query: "limit=1000"},
	{operation: "getBalance", name: "unauthorized", status: 401, as: "lnt_sandbox_nobodys"},
	{operation: "createCharge", name: "forbidden", status: 403, as: "${reader.secret}", body: `{"amount_sats":1000}`},
	{operation: "getCharge", name: "not_found", status: 404, id: "ch_00000000000000000000000000"},
	{operation: "cancelCharge", name: "charge_not_cancelable", status: 409, id: "${sats.id}"},
	{operation: "paySandboxCharge", name: "charge_not_payable", status: 409, id: "${sats.id}"},
	{operation: "releaseSandboxInvoice", name: "invoice_not_held", status: 409, id: "${-hold.id}"},
	{operation: "createWithdrawal", name: "duplicate_payment", status: 409, key: "payout-46", body: `{"bolt11":"${bolt11}"}`},
	{operation: "testWebhookEndpoint", name: "endpoint_disabled", status: 409, id: "${-failing.id}"},
	{operation: "createCharge", name: "payload_too_large", status: 413, body: `{"description":"` + strings.Repeat("x", 64<<10) + `"}`},
	{operation: "createCharge", name: "unsupported_media_type", status: 415, media: "text/plain", body: `{"amount_sats":1000}`},
	{operation: "createCharge", name: "idempotency_key_reused", status: 422, key: "order-42", body: `{"amount_sats":2000}`},
	{operation: "createCharge", name: "amount_out_of_range", status: 422, body: `{"amount_sats":0}`},
	{operation: "createWebhookEndpoint", name: "url_not_allowed", status: 422, body: `{"url":"http://169.254.169.254/","events":["*"]}`},
	{operation: "createWithdrawal", name: "invoice_invalid", status: 422, key: "payout-47", body: `{"bolt11":"lnbcrt1nonsense"}`},
	{operation: "createWithdrawal", name: "invoice_wrong_network", status: 422, key: "payout-48", body: `{"bolt11":"` + mainnetInvoice + `"}`},
	{before: invoice("large", 50_000_000), operation: "createWithdrawal", name: "insufficient_balance", status: 422, key: "payout-49",
		body: `{"bolt11":"${large}"}`},
	{before: invoice("any", 0), operation: "createWithdrawal", name: "amount_required", status: 422, key: "payout-50", body: `{"bolt11":"${any}"}`},
	{operation: "createWithdrawal", name: "amount_not_allowed", status: 422, key: "payout-51", body: `{"bolt11":"${large}","amount_sats":1}`},
	{operation: "createWithdrawal", name: "limit_exceeded", status: 422, key: "payout-52", body: `{"bolt11":"${any}","amount_sats":20000000}`},
	{before: expiringInvoice("short", 50_000), operation: "createWithdrawal", name: "invoice_expired", status: 422, key: "payout-53",
		body: `{"bolt11":"${short}"}`},
	{before: freeze, operation: "createWithdrawal", name: "payouts_frozen", status: 422, key: "payout-54",
		body: `{"bolt11":"${any}","amount_sats":1}`},

	{operation: "deleteKey", name: "deleted", status: 204, id: "${reader.id}"},
	{operation: "deleteWebhookEndpoint", name: "deleted", status: 204, id: "${-failing.id}"},
	{before: withoutPayer, operation: "createSandboxInvoice", name: "no_payer_node", status: http.StatusNotImplemented,
		body: `{"amount_sats":5,"behaviour":"settle"}`},
	// The last: nothing decides about charges any more.
	{before: stopWorker, operation: "createCharge", name: "service_unavailable", status: http.StatusServiceUnavailable,
		body: `{"amount_sats":1000}`},
}

// mainnetInvoice is an example of BOLT 11.
const mainnetInvoice = "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpuaztrnwngzn3kdzw5hydl" +
	"zf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp"
