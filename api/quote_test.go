package api_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/payments/bolt11"
	"github.com/lntpay/lntpay/workflows"
)

// give sets what the workspace has.
func (b *bench) give(available payments.Msat) {
	b.t.Helper()
	tag, err := b.store.Pool.Exec(b.t.Context(), "UPDATE balance SET available_msat = $1 WHERE workspace_id = $2",
		int64(available), b.workspace)
	require.NoError(b.t, err)
	require.EqualValues(b.t, 1, tag.RowsAffected())
}

func TestDefaultMaxFee(t *testing.T) {
	t.Parallel()
	std := config.DefaultPayouts()
	for name, c := range map[string]struct {
		floor, amount, want payments.Msat
		ppm                 int64
	}{
		"floor":                {std.DefaultMaxFeeFloorMsat, 1, 5000, std.DefaultMaxFeePPM},
		"floor, still":         {std.DefaultMaxFeeFloorMsat, 1_000_199, 5000, std.DefaultMaxFeePPM},
		"share":                {std.DefaultMaxFeeFloorMsat, 1_000_200, 5001, std.DefaultMaxFeePPM},
		"share, rounded down":  {0, 999, 4, 5000},
		"nothing":              {0, 199, 0, 5000},
		"no settings":          {0, 1_000_000, 0, 0},
		"all there is":         {0, payments.MaxMsat, payments.MaxMsat / 200, 5000},
		"twice all there is":   {0, payments.MaxMsat, payments.MaxMsat, 2_000_000},
		"beyond 128 bits":      {0, payments.MaxMsat, payments.MaxMsat, 1<<63 - 1},
		"floor beyond all":     {1<<63 - 1, 1, payments.MaxMsat, 0},
		"below zero":           {-5, 1000, 0, -5},
		"beyond 64 bits in it": {0, 1_844_674_407_370_955_161, 922_337_203_685_477_580, 500_000},
	} {
		got := api.DefaultMaxFee(config.Payouts{DefaultMaxFeeFloorMsat: c.floor, DefaultMaxFeePPM: c.ppm}, c.amount)
		require.Equal(t, c.want, got, name)
	}
	// Against arithmetic without bounds.
	for range 10_000 {
		amount, ppm := rand.Int64N(int64(payments.MaxMsat)), rand.Int64N(1_000_000)
		want := new(big.Int).Mul(big.NewInt(amount), big.NewInt(ppm))
		want.Div(want, big.NewInt(1_000_000))
		require.Equal(t, want.Int64(), int64(api.DefaultMaxFee(config.Payouts{DefaultMaxFeePPM: ppm}, payments.Msat(amount))))
	}
}

func TestMaxWithdrawable(t *testing.T) {
	t.Parallel()
	std := config.DefaultPayouts()
	unlimited := std
	unlimited.MaxAmountMsat = 0
	free := config.Payouts{}
	for name, c := range map[string]struct {
		payouts         config.Payouts
		available, want payments.Msat
	}{
		"nothing":            {std, 0, 0},
		"not the floor":      {std, 5000, 0},
		"the floor and one":  {std, 5001, 1},
		"where both meet":    {std, 1_005_000, 1_000_000},
		"above":              {std, 1_005_001, 1_000_001},
		"where a fee begins": {std, 1_005_200, 1_000_200 - 1},
		"the contract's":     {std, 2_000_000, 1_990_050},
		"the limit":          {std, 1 << 62, std.MaxAmountMsat},
		"no limit":           {unlimited, payments.MaxMsat + payments.MaxMsat/200, payments.MaxMsat},
		"no fees":            {free, 77, 77},
	} {
		require.Equal(t, c.want, api.MaxWithdrawable(c.payouts, c.available), name)
	}
	for range 2000 {
		p := config.Payouts{DefaultMaxFeeFloorMsat: payments.Msat(rand.Int64N(10_000)), DefaultMaxFeePPM: rand.Int64N(20_000)}
		available := payments.Msat(rand.Int64N(1 << rand.IntN(50)))
		most := api.MaxWithdrawable(p, available)
		require.True(t, most == 0 || most+api.DefaultMaxFee(p, most) <= available, "it fits")
		require.Greater(t, most+1+api.DefaultMaxFee(p, most+1), available, "and nothing more does")
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.payouts.quote = workflows.QuoteResult{Routed: true, FeeMsat: 1010}
	ask := func(text, more string) map[string]any {
		b.t.Helper()
		var object map[string]any
		b.writesNothing(func() {
			object = b.object(b.post("/v1/withdrawals/quote", fmt.Sprintf(`{"bolt11":%q%s}`, text, more)), http.StatusOK)
		})

		return object
	}
	quote := func(amount, fee, total, available, most float64, sufficient bool) map[string]any {
		return map[string]any{
			"object": "quote", "environment": "sandbox", "amount_msat": amount, "estimated_fee_msat": 1010., "max_fee_msat": fee,
			"total_locked_msat": total, "available_msat": available, "max_withdrawable_msat": most, "sufficient": sufficient,
		}
	}
	text := invoice(t, 1_000_000)
	require.Equal(t, quote(1e6, 5000, 1_005_000, 0, 0, false), ask(text, ""))
	require.Equal(t, workflows.QuoteInput{Bolt11: text, AmountMsat: 1_000_000}, b.payouts.asked)
	b.give(1_004_999)
	require.Equal(t, quote(1e6, 5000, 1_005_000, 1_004_999, 999_999, false), ask(text, ""))
	b.give(1_005_000)
	require.Equal(t, quote(1e6, 5000, 1_005_000, 1_005_000, 1e6, true), ask(text, ""))
	open := invoice(t, 0)
	require.Equal(t, quote(2e6, 10_000, 2_010_000, 1_005_000, 1e6, false), ask(open, `,"amount_sats":2000`))
	require.EqualValues(t, 2_000_000, b.payouts.asked.AmountMsat)

	// What it says can be withdrawn can be.
	require.Equal(t, true, ask(open, `,"amount_msat":1000000`)["sufficient"])
	require.Equal(t, false, ask(open, `,"amount_msat":1000001`)["sufficient"])

	b.payouts.quote = workflows.QuoteResult{}
	require.Nil(t, ask(text, "")["estimated_fee_msat"], "no route now")
	b.payouts.quote = workflows.QuoteResult{Routed: true}
	require.Zero(t, ask(text, "")["estimated_fee_msat"])

	b.key = b.newKey(b.newWorkspace(), nil, "withdrawals:read")
	require.Zero(t, ask(text, "")["available_msat"])
}

func TestQuoteRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := func(text string) string { return fmt.Sprintf(`{"bolt11":%q}`, text) }
	lives := func(left time.Duration) string {
		return body(invoice(t, 1, createdAgo(time.Minute), with(zpay32.Expiry(time.Minute+left.Round(time.Second)))))
	}
	const day = 24 * time.Hour
	_, err := b.store.Pool.Exec(t.Context(), "INSERT INTO node (name, pubkey) VALUES ('a past one', $1)", pubkey(pastKey))
	require.NoError(t, err)
	b.refusesAll("/v1/withdrawals/quote", append(formRefusals(t),
		refusal{"a fee limit", fmt.Sprintf(`{"bolt11":%q,"max_fee_msat":1}`, invoice(t, 1)), "max_fee_msat", payments.CodeInvalidRequest},
		refusal{"expired", lives(-30 * time.Second), "", payments.CodeInvoiceExpired},
		refusal{"about to expire", lives(9 * time.Second), "", payments.CodeInvoiceExpired},
		refusal{"lives too long", lives(7*day + time.Minute), "", payments.CodeInvoiceInvalid},
		refusal{"of our own node", body(invoice(t, 1, ours)), "", payments.CodeInvoiceInvalid},
		refusal{"of a node that was ours", body(invoice(t, 1, func(i *bill) { i.key = pastKey })), "", payments.CodeInvoiceInvalid},
		refusal{"of our own node, any amount", fmt.Sprintf(`{"bolt11":%q,"amount_msat":1}`, invoice(t, 0, ours)), "", payments.CodeInvoiceInvalid},
	))
	require.Zero(t, b.payouts.estimates.count())
	for _, left := range []time.Duration{15 * time.Second, 7*day - time.Minute} {
		require.Equal(t, http.StatusOK, b.post("/v1/withdrawals/quote", lives(left)).status, left)
	}
}

// TestQuoteOfOwnCharge: an open charge of any workspace costs nothing to pay.
func TestQuoteOfOwnCharge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.give(3000)
	id := b.charge(`{"amount_sats":3}`, withKey(b.newKey(b.newWorkspace(), nil, "charges:write")))
	text := invoice(t, 3000, ours)
	decoded, err := bolt11.Decode(text, "regtest")
	require.NoError(t, err)
	set := func(set string, args ...any) {
		t.Helper()
		_, err := b.store.Pool.Exec(t.Context(), fmt.Sprintf("UPDATE charge SET %s WHERE id = '%s'", set, id), args...)
		require.NoError(t, err)
	}
	set("bolt11 = $1, payment_hash = $2", text, decoded.PaymentHash[:])
	ask := func(text string) reply {
		return b.post("/v1/withdrawals/quote", fmt.Sprintf(`{"bolt11":%q}`, text))
	}
	require.Equal(t, map[string]any{
		"object": "quote", "environment": "sandbox", "amount_msat": 3e3, "estimated_fee_msat": 0., "max_fee_msat": 0.,
		"total_locked_msat": 3e3, "available_msat": 3e3, "max_withdrawable_msat": 3e3, "sufficient": true,
	}, b.object(ask("LIGHTNING:"+text), http.StatusOK))

	// The limit on one withdrawal holds for book transfers too.
	url := b.url
	for limit, want := range map[payments.Msat]float64{0: 3e3, 2999: 2999, 3000: 3e3, 3001: 3e3} {
		strict := httptest.NewServer(b.another(func(e *api.Environment) { e.Payouts.MaxAmountMsat = limit }).Handler())
		t.Cleanup(strict.Close)
		b.url = strict.URL
		require.InDelta(t, want, b.object(ask(text), http.StatusOK)["max_withdrawable_msat"], 0, limit)
	}
	b.url = url

	// The hash alone is not the charge; and each of these closes it to others.
	b.refused(ask(invoice(t, 1000, ours, func(b *bill) { b.hash = decoded.PaymentHash })), payments.CodeInvoiceInvalid)
	for closes, reopens := range map[string]string{
		"settling_by = 'wd_x'":                                         "settling_by = NULL",
		"expires_at = now() - '1s'::interval":                          "expires_at = now() + '1h'::interval",
		"status = 'canceled', closed_at = now(), next_check_at = NULL": "status = 'pending', closed_at = NULL, next_check_at = now()",
	} {
		set(closes)
		b.refused(ask(text), payments.CodeInvoiceInvalid)
		set(reopens)
		require.Equal(t, http.StatusOK, ask(text).status)
	}
	require.Zero(t, b.payouts.estimates.count(), "no node was asked")
}

// TestQuoteWithoutAWorker: 503, and no more wait than may.
func TestQuoteWithoutAWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Config.MaxInFlight = 1 })
	body := fmt.Sprintf(`{"bolt11":%q}`, invoice(t, 1000))
	b.payouts.estimates.plan(failBefore)
	answer := b.post("/v1/withdrawals/quote", body)
	b.refused(answer, payments.CodeServiceUnavailable)
	require.NotContains(t, answer.body, "temporal")
	require.NotEmpty(t, answer.header.Get("Retry-After"))

	release := make(chan struct{})
	b.payouts.estimates.plan(func(work func() error) error { <-release; return work() })
	first := make(chan reply, 1)
	go func() {
		answer, _ := b.try(http.MethodPost, "/v1/withdrawals/quote", body)
		first <- answer
	}()
	require.Eventually(t, func() bool { return b.payouts.estimates.count() == 2 }, 5*time.Second, 5*time.Millisecond)
	started := time.Now()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			path := []string{"/v1/withdrawals/quote", "/v1/withdrawals"}[i%2]
			answer, err := b.try(http.MethodPost, path, body, idempotent("k"))
			if err != nil || answer.status != http.StatusServiceUnavailable {
				t.Errorf("want 503, got %d %v", answer.status, err)
			}
		})
	}
	all.Wait()
	require.Less(t, time.Since(started), 3*time.Second)
	require.Zero(t, b.rows()["claim"])
	close(release)
	require.Equal(t, http.StatusOK, (<-first).status)

	// The node has five seconds.
	b.payouts.estimates.plan(func(work func() error) error { time.Sleep(5100 * time.Millisecond); return work() })
	b.refused(b.post("/v1/withdrawals/quote", body), payments.CodeServiceUnavailable)
}
