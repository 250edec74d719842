package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
	"github.com/lntpay/lntpay/store/db"
)

// withdraw makes a withdrawal of 1000 sats and returns its id.
func (b *bench) withdraw(more string) string {
	b.t.Helper()
	answer := b.post("/v1/withdrawals", fmt.Sprintf(`{"bolt11":%q%s}`, invoice(b.t, 1_000_000), more), idempotent(payments.NewID("k")))

	return b.object(answer, http.StatusCreated)["id"].(string)
}

func TestCreateWithdrawal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text := invoice(t, 2_000_000)
	decoded, err := bolt11.Decode(text, "regtest")
	require.NoError(t, err)
	got := b.object(b.post("/v1/withdrawals", fmt.Sprintf(`{"bolt11": "lightning:%s", "description": "pay out ☕",
		"metadata": {"run": "7"}, "external_id": "x-1"}`, strings.ToUpper(text)), idempotent("k")), http.StatusCreated)
	want := map[string]any{
		"object": "withdrawal", "environment": "sandbox", "status": "pending", "under_review": false,
		"amount_msat": 2e6, "max_fee_msat": 1e4, "fee_msat": 0., "payment_hash": fmt.Sprintf("%x", decoded.PaymentHash),
		"destination": pubkey(othersKey), "preimage": nil, "bolt11": text, "description": "pay out ☕",
		"metadata": map[string]any{"run": "7"}, "external_id": "x-1", "failure": nil, "in_flight": nil, "completed_at": nil,
	}
	id := got["id"].(string)
	require.Equal(t, got, b.object(b.get("/v1/withdrawals/"+id), http.StatusOK))
	delete(got, "id")
	delete(got, "created_at")
	require.Equal(t, want, got)

	b.payouts.move(t, id, toFlight)
	got = b.object(b.get("/v1/withdrawals/"+id), http.StatusOK)
	require.Equal(t, "in_flight", got["status"])
	flight := got["in_flight"].(map[string]any)
	require.Equal(t, []any{2., 3., 700.}, []any{flight["sends"], flight["htlc_attempts"], flight["htlc_expiry_height"]})
	b.payouts.move(t, id, toReview)
	require.Equal(t, true, b.object(b.get("/v1/withdrawals/"+id), http.StatusOK)["under_review"])
	b.payouts.move(t, id, "review_reason = NULL, "+toSuccess)
	got = b.object(b.get("/v1/withdrawals/"+id), http.StatusOK)
	require.Equal(t, []any{"succeeded", strings.Repeat("cd", 32), 2., nil},
		[]any{got["status"], got["preimage"], got["fee_msat"], got["in_flight"]})

	failed := b.withdraw("")
	b.payouts.move(t, failed, toFailure)
	got = b.object(b.get("/v1/withdrawals/"+failed), http.StatusOK)
	require.Equal(t, "no_route", got["failure"].(map[string]any)["code"])
}

// TestWithdrawalAmounts: what is paid, and the limit of its fee.
func TestWithdrawalAmounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		msat           uint64
		more           string
		amount, maxFee float64
	}{
		"the invoice's":          {3_000_001, ``, 3_000_001, 15_000},
		"nulls are absent":       {3_000_001, `,"amount_msat":null,"amount_sats":null,"max_fee_msat":null,"max_fee_sats":null`, 3_000_001, 15_000},
		"the floor":              {1, ``, 1, 5000},
		"the request's, in msat": {0, `,"amount_msat":2000200`, 2_000_200, 10_001},
		"the request's, in sats": {0, `,"amount_sats":7`, 7000, 5000},
		"a fee limit":            {1000, `,"max_fee_msat":1`, 1000, 1},
		"a fee limit in sats":    {1000, `,"max_fee_sats":3`, 1000, 3000},
		"zero-fee routes":        {0, `,"amount_sats":7,"max_fee_msat":0`, 7000, 0},
		"all there is":           {0, fmt.Sprintf(`,"amount_msat":%d,"max_fee_msat":%d`, payments.MaxMsat, payments.MaxMsat), float64(payments.MaxMsat), float64(payments.MaxMsat)},
	} {
		got := b.object(b.post("/v1/withdrawals", fmt.Sprintf(`{"bolt11":%q%s}`, invoice(t, c.msat), c.more), idempotent(name)), http.StatusCreated)
		require.Equal(t, []any{c.amount, c.maxFee}, []any{got["amount_msat"], got["max_fee_msat"]}, name)
	}
}

// formRefusals are those of a withdrawal and a quote alike.
type refusal struct {
	name, body, field string
	code              payments.Code
}

func formRefusals(t *testing.T) []refusal {
	t.Helper()
	const invalid, outOfRange = payments.CodeInvalidRequest, payments.CodeAmountOutOfRange
	body := func(text, more string) string { return fmt.Sprintf(`{"bolt11":%q%s}`, text, more) }
	open, fixed := invoice(t, 0), invoice(t, 1000)

	return []refusal{
		{"not JSON", `{"bolt11":`, "", invalid},
		{"empty", ``, "", invalid},
		{"no invoice", `{}`, "bolt11", invalid},
		{"null invoice", `{"bolt11":null}`, "bolt11", invalid},
		{"invoice type", `{"bolt11":5}`, "bolt11", invalid},
		{"NUL", `{"bolt11":"ln\u0000"}`, "bolt11", invalid},
		{"unknown field", body(fixed, `,"amount":1`), "amount", invalid},
		{"both amounts", body(open, `,"amount_msat":1000,"amount_sats":1`), "amount_msat", invalid},
		{"float", body(open, `,"amount_msat":1.5`), "amount_msat", invalid},
		{"text amount", body(open, `,"amount_sats":"1"`), "amount_sats", invalid},
		{"zero", body(open, `,"amount_msat":0`), "amount_msat", outOfRange},
		{"negative", body(open, `,"amount_sats":-1`), "amount_sats", outOfRange},
		{"too large", body(open, fmt.Sprintf(`,"amount_msat":%d`, payments.MaxMsat+1)), "amount_msat", outOfRange},
		{"sats overflow in msat", body(open, `,"amount_sats":9223372036854775807`), "amount_sats", outOfRange},
		{"beyond int64", body(open, `,"amount_msat":9223372036854775808`), "amount_msat", outOfRange},
		{"invoice too large", body(invoice(t, uint64(payments.MaxMsat)+100_000_000_000), ""), "bolt11", outOfRange},
		{"form before invoice", `{"bolt11":"x","amount_msat":true}`, "amount_msat", invalid},
		{"range before invoice", `{"bolt11":"x","amount_msat":0}`, "amount_msat", outOfRange},
		{"empty invoice", body("", ""), "bolt11", payments.CodeInvoiceInvalid},
		{"no invoice at all", body("lnbcrt", ""), "bolt11", payments.CodeInvoiceInvalid},
		{"huge", body(strings.Repeat("l", 60_000), ""), "bolt11", payments.CodeInvoiceInvalid},
		{"damaged", body(fixed[:len(fixed)-1]+"b", ""), "bolt11", payments.CodeInvoiceInvalid},
		{"final delta at the limit", body(invoice(t, 1, with(zpay32.CLTVExpiry(1005))), ""), "bolt11", payments.CodeInvoiceInvalid},
		{"mainnet", body(invoice(t, 1, ofMainnet), ""), "bolt11", payments.CodeInvoiceWrongNetwork},
		{"no amount", body(open, ""), "", payments.CodeAmountRequired},
		{"null amounts", body(open, `,"amount_msat":null`), "", payments.CodeAmountRequired},
		{"another amount", body(fixed, `,"amount_msat":1001`), "", payments.CodeAmountNotAllowed},
		{"the same amount", body(fixed, `,"amount_sats":1`), "", payments.CodeAmountNotAllowed},
	}
}

func (b *bench) refusesAll(path string, refusals []refusal) {
	b.t.Helper()
	b.writesNothing(func() {
		for _, c := range refusals {
			answer := b.post(path, c.body, idempotent("k"))
			require.Equal(b.t, payments.NewProblem(c.code, "").Status, answer.status, "%s: %s", c.name, answer.body)
			require.Equal(b.t, string(c.code), b.refused(answer, c.code)["code"], c.name)
			if c.field != "" {
				require.Contains(b.t, answer.body, `"field":"`+c.field+`"`, c.name)
			}
		}
	})
}

func TestWithdrawalRequestRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := func(more string) string { return fmt.Sprintf(`{"bolt11":%q%s}`, invoice(t, 1000), more) }
	const invalid, outOfRange = payments.CodeInvalidRequest, payments.CodeAmountOutOfRange
	b.refusesAll("/v1/withdrawals", append(formRefusals(t),
		refusal{"both fees", body(`,"max_fee_msat":1,"max_fee_sats":1`), "max_fee_msat", invalid},
		refusal{"fee float", body(`,"max_fee_msat":0.5`), "max_fee_msat", invalid},
		refusal{"fee negative", body(`,"max_fee_msat":-1`), "max_fee_msat", outOfRange},
		refusal{"fee too large", body(fmt.Sprintf(`,"max_fee_msat":%d`, payments.MaxMsat+1)), "max_fee_msat", outOfRange},
		refusal{"fee overflows in msat", body(`,"max_fee_sats":9223372036854775807`), "max_fee_sats", outOfRange},
		refusal{"description", body(fmt.Sprintf(`,"description":%q`, strings.Repeat("é", 320))), "description", invalid},
		refusal{"metadata", body(`,"metadata":{"a":1}`), "metadata", invalid},
		refusal{"external id", body(fmt.Sprintf(`,"external_id":%q`, strings.Repeat("x", 256))), "external_id", invalid},
	))
	b.writesNothing(func() {
		answer := b.post("/v1/withdrawals", body(""))
		b.refused(answer, invalid)
		require.Contains(t, answer.body, `"field":"Idempotency-Key"`)
		b.refused(b.post("/v1/withdrawals", body(""), idempotent("")), invalid)
	})
	require.Zero(t, b.payouts.count())
	// The largest final delta that leaves room for lnd's padding.
	require.Equal(t, http.StatusCreated, b.post("/v1/withdrawals",
		fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1, with(zpay32.CLTVExpiry(1004)))), idempotent("k")).status)
}

func TestWithdrawalReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The form is judged, not the time: this one was over long ago, and what
	// holds the funds says what becomes of it.
	body := fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000, createdAgo(30*24*time.Hour), with(zpay32.CLTVExpiry(700))))
	first := b.post("/v1/withdrawals", body, idempotent("k"))
	id := b.object(first, http.StatusCreated)["id"].(string)
	b.payouts.move(t, id, toFailure)
	same := func() {
		b.t.Helper()
		again := b.post("/v1/withdrawals", body, idempotent("k"))
		require.Equal(t, first.status, again.status, again.body)
		require.Equal(t, first.body, again.body)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	}
	b.writesNothing(func() {
		same()
		b.refused(b.post("/v1/withdrawals", body+" ", idempotent("k")), payments.CodeIdempotencyKeyReused)
		b.refused(b.post("/v1/withdrawals", fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000)), idempotent("k")), payments.CodeIdempotencyKeyReused)
	})

	// An operator who allows less has not made this one undone.
	strict := httptest.NewServer(b.another(func(e *api.Environment) { e.Payouts.CLTVLimitBlocks = 100 }).Handler())
	t.Cleanup(strict.Close)
	b.url = strict.URL
	b.writesNothing(func() {
		same()
		b.refused(b.post("/v1/withdrawals", body, idempotent("other")), payments.CodeInvoiceInvalid)
		b.refused(b.post("/v1/withdrawals", body+" ", idempotent("k")), payments.CodeInvoiceInvalid)
	})
	again := b.post("/v1/withdrawals", body, idempotent("k"), withKey(b.newKey(b.workspace, nil, "withdrawals:write")))
	require.Equal(t, first.body, again.body, "the workspace is the scope, not the key")
	require.Equal(t, 1, b.payouts.count())
}

// another is a second server of the same environment.
func (b *bench) another(change func(*api.Environment)) *api.Server {
	b.t.Helper()
	env := b.environment
	change(&env)
	server, err := api.New(api.Options{Environments: map[payments.Environment]api.Environment{payments.Sandbox: env}})
	require.NoError(b.t, err)

	return server
}

// TestWithdrawalFrozenRefusals: what the holding transaction refuses is what a
// repeat is told.
func TestWithdrawalFrozenRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, code := range []payments.Code{
		payments.CodeInsufficientBalance, payments.CodeDuplicatePayment, payments.CodeInvoiceExpired, payments.CodeInvoiceInvalid,
		payments.CodeLimitExceeded, payments.CodePayoutsFrozen,
	} {
		b.payouts.refuse = payments.NewProblem(code, "No.")
		body := fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000))
		first := b.post("/v1/withdrawals", body, idempotent(string(code)))
		b.refused(first, code)
		b.payouts.refuse = nil
		again := b.post("/v1/withdrawals", body, idempotent(string(code)))
		require.Equal(t, first.body, again.body)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.Equal(t, http.StatusCreated, b.post("/v1/withdrawals", body, idempotent(string(code)+" again")).status)
	}
}

func TestWithdrawalUnknownOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000))
	b.payouts.plan(failBefore)
	answer := b.post("/v1/withdrawals", body, idempotent("k"))
	b.refused(answer, payments.CodeServiceUnavailable)
	require.NotContains(t, answer.body, "temporal")
	require.NotEmpty(t, answer.header.Get("Retry-After"))
	b.payouts.plan(failAfter) // Only its result was lost.
	repeat := b.post("/v1/withdrawals", body, idempotent("k"))
	require.Equal(t, http.StatusCreated, repeat.status, repeat.body)
	require.Equal(t, 1, b.rows()["withdrawal"])
	require.Equal(t, 1, b.rows()["claim"])
}

// TestWithdrawalsNeedANode: until a worker has said which network it is of,
// nothing can be judged.
func TestWithdrawalsNeedANode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.store.Pool.Exec(t.Context(), "UPDATE node SET network = NULL")
	require.NoError(t, err)
	body := fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000))
	b.writesNothing(func() {
		b.refused(b.post("/v1/withdrawals", body, idempotent("k")), payments.CodeServiceUnavailable)
		b.refused(b.post("/v1/withdrawals/quote", body), payments.CodeServiceUnavailable)
	})
	_, err = b.store.Pool.Exec(t.Context(), "UPDATE node SET network = 'regtest'")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, b.post("/v1/withdrawals", body, idempotent("k")).status)
	b.store.Pool.Close()
	for _, answer := range []reply{
		b.post("/v1/withdrawals", body, idempotent("k")), b.post("/v1/withdrawals", `{"bolt11":"x"}`, idempotent("k")),
		b.post("/v1/withdrawals/quote", body), b.get("/v1/withdrawals"), b.get("/v1/withdrawals/" + payments.NewID("wd")),
	} {
		b.refused(answer, payments.CodeServiceUnavailable)
	}
}

// TestWithdrawalWait: in flight is no end.
func TestWithdrawalWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, failing := b.withdraw(""), b.withdraw("")
	replies := make([]reply, 4)
	errs := make([]error, len(replies))
	var all sync.WaitGroup
	for i := range replies {
		path := "/v1/withdrawals/" + []string{id, failing}[i%2] + "?wait=60"
		all.Go(func() { replies[i], errs[i] = b.try(http.MethodGet, path, "") })
	}
	b.awaitLongPolls(t, len(replies))
	b.payouts.move(t, id, toSending)
	b.payouts.move(t, id, toFlight)
	b.awaitLongPolls(t, len(replies))
	b.payouts.move(t, id, toSuccess)
	b.payouts.move(t, failing, toFailure)
	all.Wait()
	for i, answer := range replies {
		require.NoError(t, errs[i])
		require.Equal(t, []string{"succeeded", "failed"}[i%2], b.object(answer, http.StatusOK)["status"])
	}
	started := time.Now()
	require.Equal(t, http.StatusOK, b.get("/v1/withdrawals/"+id+"?wait=60").status)
	require.Less(t, time.Since(started), 5*time.Second)

	open := b.withdraw("")
	b.payouts.move(t, open, toFlight)
	started = time.Now()
	require.Equal(t, "in_flight", b.object(b.get("/v1/withdrawals/"+open+"?wait=1"), http.StatusOK)["status"])
	require.GreaterOrEqual(t, time.Since(started), time.Second)
	for _, wait := range []string{"61", "-1", "x", ""} {
		b.refused(b.get("/v1/withdrawals/"+open+"?wait="+wait), payments.CodeInvalidRequest)
	}
}

func TestListWithdrawals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for i, set := range []string{"", toSending, toFlight, toSuccess, toFailure, "", toFailure} {
		id := b.withdraw(fmt.Sprintf(`,"external_id":"x-%d"`, i%2))
		if set != "" {
			b.payouts.move(t, id, set)
		}
		ids = append(ids, id)
	}
	pick := func(indexes ...int) (picked []string) {
		for _, i := range indexes {
			picked = append(picked, ids[i])
		}

		return picked
	}
	all := pick(6, 5, 4, 3, 2, 1, 0)
	middle := b.object(b.get("/v1/withdrawals/"+ids[3]), http.StatusOK)["created_at"].(string)
	for query, want := range map[string][]string{
		"":                                        all,
		"status=pending":                          pick(5, 0),
		"status=in_flight":                        pick(2, 1),
		"status=succeeded":                        pick(3),
		"status=failed":                           pick(6, 4),
		"external_id=x-0":                         pick(6, 4, 2, 0),
		"external_id=x-0&status=failed":           pick(6, 4),
		"external_id=x-1&status=in_flight":        pick(1),
		"external_id=x":                           nil,
		"external_id=":                            nil,
		"created_after=" + middle:                 pick(6, 5, 4),
		"created_before=" + middle:                pick(2, 1, 0),
		"status=pending&created_after=" + middle:  pick(5),
		"status=failed&created_before=" + middle:  nil,
		"external_id=x-1&created_after=" + middle: pick(5),
	} {
		got, cursor := b.list(b.get("/v1/withdrawals?" + query))
		require.Equal(t, want, got, query)
		require.Empty(t, cursor, query)
		// Page by page, while others are added, it is the same.
		var paged []string
		for path := "/v1/withdrawals?limit=1&" + query; ; {
			page, cursor := b.list(b.get(path))
			paged = append(paged, page...)
			if cursor == "" {
				break
			}
			path = "/v1/withdrawals?limit=1&" + query + "&cursor=" + url.QueryEscape(cursor)
		}
		require.Equal(t, want, paged, query)
	}
	_, cursor := b.list(b.get("/v1/withdrawals?limit=3"))
	b.withdraw("")
	rest, _ := b.list(b.get("/v1/withdrawals?cursor=" + cursor))
	require.Equal(t, all[3:], rest)
	for _, query := range []string{"status=held", "status=sending", "status=x", "limit=0", "limit=101", "cursor=x", "created_after=x", "wait=1"} {
		b.refused(b.get("/v1/withdrawals?"+query), payments.CodeInvalidRequest)
	}
	// A cursor of another list is none of this one.
	b.charge(`{"amount_sats":1}`)
	b.charge(`{"amount_sats":1}`)
	_, cursor = b.list(b.get("/v1/charges?limit=1"))
	b.refused(b.get("/v1/withdrawals?cursor="+cursor), payments.CodeInvalidRequest)
}

// TestForeignWithdrawals: another workspace's and none at all have the same
// answer, and no key of theirs finds it by any filter.
func TestForeignWithdrawals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	foreign := b.withdraw(`,"external_id":"x"`)
	open := b.withdraw("")
	b.payouts.move(t, foreign, toSuccess)
	b.key = b.newKey(b.newWorkspace(), nil, "withdrawals:read", "withdrawals:write")
	b.writesNothing(func() {
		for _, id := range []string{foreign, open, payments.NewID("wd"), payments.NewID("ch"), "wd_x", "%00"} {
			b.refused(b.get("/v1/withdrawals/"+id+"?wait=0"), payments.CodeNotFound)
			b.refused(b.get("/v1/withdrawals/"+id+"?wait=1"), payments.CodeNotFound)
		}
		for _, query := range []string{"", "?external_id=x", "?status=succeeded", "?status=pending"} {
			ids, _ := b.list(b.get("/v1/withdrawals" + query))
			require.Empty(t, ids)
		}
	})
	// The same key in another workspace is another request.
	body := fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000))
	first := b.object(b.post("/v1/withdrawals", body, idempotent("k")), http.StatusCreated)
	b.key = b.newKey(b.newWorkspace(), nil, "withdrawals:write")
	b.payouts.refuse = payments.NewProblem(payments.CodeDuplicatePayment, "It is.")
	b.refused(b.post("/v1/withdrawals", body, idempotent("k")), payments.CodeDuplicatePayment)
	require.NotEmpty(t, first["id"])
	require.False(t, slices.Contains([]string{foreign, open}, first["id"].(string)))
}

// TestWithdrawalsElsewhere: the ledger and the webhooks know of withdrawals.
func TestWithdrawalsElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.give(10_000)
	id := b.withdraw("")
	entry := func(kind ledger.Kind, debit, credit ledger.Account, amount payments.Msat) ledger.Entry {
		return ledger.Entry{WorkspaceID: b.workspace, Kind: kind, Ref: id, Debit: debit, Credit: credit, AmountMsat: amount}
	}
	require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(t.Context(), tx, []ledger.Entry{
			entry(ledger.KindWithdrawalLock, ledger.Available, ledger.Locked, 7000),
			entry(ledger.KindWithdrawalPost, ledger.Locked, ledger.LightningClearing, 5000),
			entry(ledger.KindWithdrawalFee, ledger.Locked, ledger.RoutingFee, 1000),
			entry(ledger.KindWithdrawalRelease, ledger.Locked, ledger.Available, 1000),
			entry(ledger.KindExcessFee, ledger.OperatorLoss, ledger.RoutingFee, 300),
		})

		return err
	}))
	all, _ := b.list(b.get("/v1/ledger/transfers?ref=" + id))
	require.Len(t, all, 5)
	described := b.get("/openapi.json").body
	for kind, want := range map[ledger.Kind]int{
		ledger.KindWithdrawalLock: 1, ledger.KindWithdrawalPost: 1, ledger.KindWithdrawalFee: 1, ledger.KindWithdrawalRelease: 1,
		ledger.KindExcessFee: 1, ledger.KindWithdrawalVoid: 0, ledger.KindWithdrawalBook: 0, ledger.KindLatePayment: 0,
		ledger.KindChargeSettled: 0,
	} {
		got, _ := b.list(b.get("/v1/ledger/transfers?kind=" + string(kind)))
		require.Len(t, got, want, kind)
		require.Contains(t, described, "`"+string(kind)+"`", "the kind has its name in openapi.yaml")
	}
	require.EqualValues(t, 4000, b.object(b.get("/v1/balance"), http.StatusOK)["available_msat"])
	endpoint := b.object(b.post("/v1/webhooks/endpoints",
		`{"url":"https://example.com/","events":["withdrawal.succeeded","withdrawal.failed"]}`), http.StatusCreated)
	require.Equal(t, []any{"withdrawal.succeeded", "withdrawal.failed"}, endpoint["events"])
}
