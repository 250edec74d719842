package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// TestListIsStable pages while charges are made: each older one is seen once,
// newest first.
func TestListIsStable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made []string
	for range 7 {
		made = append(made, b.charge(`{"amount_sats":1}`))
	}
	slices.Reverse(made)
	var seen []string
	for cursor := ""; ; {
		path := "/v1/charges?limit=3"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		ids, next := b.list(b.get(path))
		require.LessOrEqual(t, len(ids), 3)
		seen = append(seen, ids...)
		b.charge(`{"amount_sats":2}`)
		if cursor = next; next == "" {
			break
		}
	}
	require.Equal(t, made, seen)
	ids, cursor := b.list(b.get("/v1/charges"))
	require.Len(t, ids, 10)
	require.Empty(t, cursor)
}

// What is wrong is named in plain text, whatever the name is.
func TestAParameterWithNULInItsNameIsNamedWithoutIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := b.get("/v1/charges?a%00b%ff=1")
	b.refused(answer, payments.CodeInvalidRequest)
	require.Contains(t, answer.body, `"field":"ab"`)
}

// A page has one cursor: what decodes to the same bytes in another form was not
// given by us.
func TestACursorWithSpareBitsIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, cursor := range []string{"MR", "M%0AQ", "MQ%3D%3D", "KzE", "MDE"} {
		b.refused(b.get("/v1/events?cursor="+cursor), payments.CodeInvalidRequest)
	}
	require.Equal(t, http.StatusOK, b.get("/v1/events?cursor=MQ").status)
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.charge(`{"amount_sats":1,"external_id":"a&b"}`)
	second := b.charge(`{"amount_sats":2,"external_id":"a&b"}`)
	third := b.charge(`{"amount_sats":3}`)
	b.charges.pay(t, second, 2000)
	created := url.QueryEscape(b.object(b.get("/v1/charges/"+second), http.StatusOK)["created_at"].(string))
	for filter, want := range map[string][]string{
		"status=pending":                          {third, first},
		"status=paid":                             {second},
		"status=expired":                          nil,
		"external_id=a%26b":                       {second, first},
		"external_id=a%26b&status=paid":           {second},
		"external_id=none":                        nil,
		"created_after=" + created:                {third},
		"created_before=" + created:               {first},
		"status=pending&created_after=" + created: {third},
		"created_before=2020-01-01T00:00:00Z":     nil,
	} {
		ids, _ := b.list(b.get("/v1/charges?" + filter))
		require.Equal(t, want, ids, filter)
	}
	for _, filter := range []string{
		"status=creating", "status=PAID", "status=", "limit=0", "limit=101", "limit=x", "limit=1.0", "cursor=x", "cursor=",
		"cursor=Y2hfeA", "created_after=yesterday", "created_before=2020-01-01", "unknown=1", "status=paid&status=paid",
		"external_id=%00", "external_id=%ff", "status=%zz", "limit=%2B5",
	} {
		b.refused(b.get("/v1/charges?"+filter), payments.CodeInvalidRequest)
	}
}

// TestListFindsWhatWasMadeLate: a repeat of a POST makes the row long after its
// id was made, and a clock may be ahead of another.
func TestListFindsWhatWasMadeLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	early, late := b.charge(`{"amount_sats":1}`), b.charge(`{"amount_sats":2}`)
	for id, by := range map[string]string{early: "-59 minutes", late: "30 days"} {
		_, err := b.store.Pool.Exec(t.Context(), `UPDATE charge SET created_at = created_at + $2::interval WHERE id = $1`, id, by)
		require.NoError(t, err)
	}
	at := func(after time.Duration) string { return url.QueryEscape(time.Now().Add(after).Format(time.RFC3339)) }
	ids, _ := b.list(b.get("/v1/charges?created_after=" + at(29*24*time.Hour)))
	require.Equal(t, []string{late}, ids)
	ids, _ = b.list(b.get("/v1/charges?status=pending&created_before=" + at(-58*time.Minute)))
	require.Equal(t, []string{early}, ids)
	ids, _ = b.list(b.get("/v1/charges?created_before=1970-01-01T00:00:01Z&created_after=0001-01-01T00:00:00Z"))
	require.Empty(t, ids)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	paid, canceled := b.charge(`{"amount_sats":1}`), b.charge(`{"amount_sats":2}`)
	b.charge(`{"amount_sats":4}`)
	b.charges.pay(t, paid, 1500)
	b.object(b.post("/v1/charges/"+canceled+"/cancel", ""), http.StatusOK)
	_, err := b.store.Pool.Exec(t.Context(), `UPDATE charge SET created_at = '2026-01-31T10:59:59.999999Z' WHERE id = $1`, paid)
	require.NoError(t, err)
	_, err = b.store.Pool.Exec(t.Context(), `UPDATE charge SET created_at = '2026-01-31T11:00:00Z' WHERE id = $1`, canceled)
	require.NoError(t, err)

	usage := b.object(b.get("/v1/charges/usage?from=2026-01-31T10:30:00Z&to=2026-01-31T11:00:01%2B00:00"), http.StatusOK)
	require.Equal(t, []any{
		map[string]any{"start": "2026-01-31T10:00:00Z", "created": 1., "paid": 1., "expired": 0., "canceled": 0.,
			"amount_msat": 1000., "amount_paid_msat": 1500.},
		map[string]any{"start": "2026-01-31T11:00:00Z", "created": 1., "paid": 0., "expired": 0., "canceled": 1.,
			"amount_msat": 2000., "amount_paid_msat": 0.},
	}, usage["data"])
	days := b.object(b.get("/v1/charges/usage?interval=day&from=2026-01-31T23:00:00%2B02:00&to=2026-02-01T00:00:00Z"), http.StatusOK)
	require.Len(t, days["data"], 1)
	require.EqualValues(t, 2, days["data"].([]any)[0].(map[string]any)["created"])

	for path, buckets := range map[string]int{"": 24, "?interval=hour": 24, "?interval=day": 30} {
		data := b.object(b.get("/v1/charges/usage"+path), http.StatusOK)["data"].([]any)
		require.Len(t, data, buckets)
		require.EqualValues(t, 1, data[buckets-1].(map[string]any)["created"])
	}
	for _, query := range []string{
		"interval=week", "from=x", "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from=2020-01-01T00:00:00Z",
		"from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z", "limit=1",
	} {
		b.refused(b.get("/v1/charges/usage?"+query), payments.CodeInvalidRequest)
	}
}

func TestBalanceAndTransfers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	balance := func() (float64, float64, float64) {
		object := b.object(b.get("/v1/balance"), http.StatusOK)
		asOf, err := time.Parse(time.RFC3339, object["as_of"].(string))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), asOf, time.Minute)

		return object["available_msat"].(float64), object["locked_msat"].(float64), object["pending_msat"].(float64)
	}
	available, locked, pending := balance()
	require.Zero(t, available+locked+pending)
	var ids []string
	for i := range 5 {
		ids = append(ids, b.charge(fmt.Sprintf(`{"amount_sats":%d}`, i+1)))
	}
	for i, id := range ids[:4] {
		b.charges.pay(t, id, payments.Msat(i+1)*1000)
	}
	available, locked, pending = balance()
	require.Equal(t, []float64{10_000, 0, 5000}, []float64{available, locked, pending})

	var sequences []float64
	for path := "/v1/ledger/transfers?limit=3"; path != ""; {
		page := b.object(b.get(path), http.StatusOK)
		for _, item := range page["data"].([]any) {
			transfer := item.(map[string]any)
			sequences = append(sequences, transfer["sequence"].(float64))
			require.Equal(t, "charge_settled", transfer["kind"])
			require.Equal(t, "lightning_clearing", transfer["debit_account"])
			require.Equal(t, "available", transfer["credit_account"])
		}
		path = ""
		if cursor, more := page["next_cursor"].(string); more {
			path = "/v1/ledger/transfers?limit=3&cursor=" + cursor
		}
	}
	require.Equal(t, []float64{4, 3, 2, 1}, sequences)

	one, _ := b.list(b.get("/v1/ledger/transfers?ref=" + ids[2]))
	require.Len(t, one, 1)
	all, _ := b.list(b.get("/v1/ledger/transfers?kind=charge_settled"))
	require.Len(t, all, 4)
	none, _ := b.list(b.get("/v1/ledger/transfers?kind=other"))
	require.Empty(t, none)
	b.refused(b.get("/v1/ledger/transfers?cursor=LTE"), payments.CodeInvalidRequest)
	b.refused(b.get("/v1/ledger/transfers?ref=%00"), payments.CodeInvalidRequest)

	b.key = b.newKey(b.newWorkspace(), nil, "ledger:read")
	foreign, _ := b.list(b.get("/v1/ledger/transfers"))
	require.Empty(t, foreign)
	available, _, _ = balance()
	require.Zero(t, available)
}
