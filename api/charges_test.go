package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

func TestCreateCharge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	charge := b.object(b.post("/v1/charges", `{"amount_sats": 7, "description": "a coffee ☕", "expires_in": 60,
		"metadata": {"order": "42"}, "external_id": "x-1"}`), http.StatusCreated)
	require.Equal(t, "charge", charge["object"])
	require.Equal(t, "sandbox", charge["environment"])
	require.Equal(t, "pending", charge["status"])
	require.EqualValues(t, 7000, charge["amount_msat"])
	require.EqualValues(t, 0, charge["amount_paid_msat"])
	require.Equal(t, "a coffee ☕", charge["description"])
	require.Equal(t, map[string]any{"order": "42"}, charge["metadata"])
	require.Equal(t, "x-1", charge["external_id"])
	require.Equal(t, charge, b.object(b.get("/v1/charges/"+charge["id"].(string)), http.StatusOK))

	plain := b.object(b.post("/v1/charges", `{"amount_msat": 1, "description": null, "metadata": null}`), http.StatusCreated)
	require.EqualValues(t, 1, plain["amount_msat"])
	require.Nil(t, plain["description"])
	require.Equal(t, map[string]any{}, plain["metadata"])
}

func TestChargeRequestAtItsLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, body := range map[string]string{
		"description":  fmt.Sprintf(`{"amount_msat":1,"description":%q}`, strings.Repeat("d", 639)),
		"external id":  fmt.Sprintf(`{"amount_msat":1,"external_id":%q}`, strings.Repeat("é", 255)),
		"largest msat": `{"amount_msat":10000000000}`,
		"largest sats": `{"amount_sats":10000000}`,
		"long expiry":  `{"amount_msat":1,"expires_in":604800}`,
		"metadata":     fmt.Sprintf(`{"amount_msat":1,"metadata":{%s}}`, pairs(50, 500)),
	} {
		answer := b.post("/v1/charges", body)
		require.Equal(t, http.StatusCreated, answer.status, "%s: %s", name, answer.body)
	}
}

// pairs are metadata with keys of 40 characters.
func pairs(count, valueChars int) string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf(`"%040d":%q`, i, strings.Repeat("v", valueChars))
	}

	return strings.Join(all, ",")
}

func TestChargeRequestRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const invalid, outOfRange = payments.CodeInvalidRequest, payments.CodeAmountOutOfRange
	refused := []struct {
		name, body, field string
		code              payments.Code
	}{
		{"not JSON", `{"amount_msat":`, "", invalid},
		{"not an object", `[1]`, "", invalid},
		{"null", `null`, "", invalid},
		{"a string", `"x"`, "", invalid},
		{"trailing data", `{"amount_msat":1} {}`, "", invalid},
		{"trailing brace", `{"amount_msat":1}}`, "", invalid},
		{"duplicate key", `{"amount_msat":1,"amount_msat":2}`, "amount_msat", invalid},
		{"duplicate key, escaped", `{"amount_msat":1,"amount\u005fmsat":2}`, "amount_msat", invalid},
		{"duplicate nested key", `{"amount_msat":1,"metadata":{"a":"1","a":"2"}}`, "metadata.a", invalid},
		{"NUL", `{"amount_msat":1,"description":"a\u0000b"}`, "description", invalid},
		{"NUL in metadata", `{"amount_msat":1,"metadata":{"a":"\u0000"}}`, "metadata.a", invalid},
		{"broken UTF-8", "{\"amount_msat\":1,\"description\":\"\xff\"}", "", invalid},
		{"too deep", `{"amount_msat":1,"metadata":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "", invalid},
		{"unknown field", `{"amount_msat":1,"amount":2}`, "amount", invalid},
		{"other case", `{"AMOUNT_MSAT":1}`, "AMOUNT_MSAT", invalid},
		{"no amount", `{}`, "amount_msat", invalid},
		{"both amounts", `{"amount_msat":1000,"amount_sats":1}`, "amount_msat", invalid},
		{"null amount", `{"amount_msat":null}`, "amount_msat", invalid},
		{"text amount", `{"amount_msat":"1"}`, "amount_msat", invalid},
		{"boolean amount", `{"amount_sats":true}`, "amount_sats", invalid},
		{"float", `{"amount_msat":1.5}`, "amount_msat", invalid},
		{"whole float", `{"amount_msat":1.0}`, "amount_msat", invalid},
		{"exponent", `{"amount_msat":1e3}`, "amount_msat", invalid},
		{"zero", `{"amount_msat":0}`, "amount_msat", outOfRange},
		{"negative zero", `{"amount_msat":-0}`, "amount_msat", outOfRange},
		{"negative", `{"amount_sats":-1}`, "amount_sats", outOfRange},
		{"over the limit", `{"amount_msat":10000000001}`, "amount_msat", outOfRange},
		{"sats over the limit", `{"amount_sats":10000001}`, "amount_sats", outOfRange},
		{"sats overflow in msat", `{"amount_sats":9223372036854775807}`, "amount_sats", outOfRange},
		{"beyond int64", `{"amount_msat":9223372036854775808}`, "amount_msat", outOfRange},
		{"far beyond int64", `{"amount_msat":` + strings.Repeat("9", 400) + `}`, "amount_msat", outOfRange},
		{"form before range", `{"amount_msat":0,"x":1}`, "x", invalid},
		{"description type", `{"amount_msat":1,"description":5}`, "description", invalid},
		{"description bytes", fmt.Sprintf(`{"amount_msat":1,"description":%q}`, strings.Repeat("é", 320)), "description", invalid},
		{"expiry short", `{"amount_msat":1,"expires_in":59}`, "expires_in", invalid},
		{"expiry long", `{"amount_msat":1,"expires_in":604801}`, "expires_in", invalid},
		{"expiry huge", `{"amount_msat":1,"expires_in":99999999999999999999}`, "expires_in", invalid},
		{"expiry float", `{"amount_msat":1,"expires_in":60.5}`, "expires_in", invalid},
		{"expiry text", `{"amount_msat":1,"expires_in":"60"}`, "expires_in", invalid},
		{"metadata type", `{"amount_msat":1,"metadata":"x"}`, "metadata", invalid},
		{"metadata number", `{"amount_msat":1,"metadata":{"a":1}}`, "metadata", invalid},
		{"metadata null value", `{"amount_msat":1,"metadata":{"a":null}}`, "metadata.a", invalid},
		{"metadata pairs", fmt.Sprintf(`{"amount_msat":1,"metadata":{%s}}`, pairs(51, 1)), "metadata", invalid},
		{"metadata key", fmt.Sprintf(`{"amount_msat":1,"metadata":{%q:"v"}}`, strings.Repeat("k", 41)), "metadata", invalid},
		{"metadata value", fmt.Sprintf(`{"amount_msat":1,"metadata":{"k":%q}}`, strings.Repeat("v", 501)), "metadata.k", invalid},
		{"external id", fmt.Sprintf(`{"amount_msat":1,"external_id":%q}`, strings.Repeat("x", 256)), "external_id", invalid},
	}
	b.writesNothing(func() {
		for _, c := range refused {
			answer := b.post("/v1/charges", c.body, idempotent("k"))
			problem := b.object(answer, payments.NewProblem(c.code, "").Status)
			require.Equal(t, string(c.code), problem["code"], c.name)
			if c.field != "" {
				require.Contains(t, answer.body, `"field":"`+c.field+`"`, c.name)
			}
		}
	})
	require.Zero(t, b.charges.count())
}

// TestErrorsNameEveryField: one answer tells all that is wrong.
func TestErrorsNameEveryField(t *testing.T) {
	t.Parallel()
	b := setup(t)
	problem := b.refused(b.post("/v1/charges", `{"description":5,"expires_in":1,"zzz":1}`), payments.CodeInvalidRequest)
	require.Len(t, problem["errors"], 4)
}

// TestLostResultIsReadOnce: of a decision only the result may be lost; the
// frozen answer spares the client a 503.
func TestLostResultIsReadOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.charges.plan(failAfter)
	first := b.post("/v1/charges", `{"amount_sats":1}`, idempotent("k"))
	charge := b.object(first, http.StatusCreated)
	require.Equal(t, 1, b.charges.count())
	b.charges.plan(failAfter)
	path := "/v1/charges/" + charge["id"].(string) + "/cancel"
	require.Equal(t, "canceled", b.object(b.post(path, ""), http.StatusOK)["status"])

	b.charges.plan(failBefore)
	b.refused(b.post("/v1/charges", `{"amount_sats":1}`, idempotent("undecided")), payments.CodeServiceUnavailable)
	require.Equal(t, http.StatusCreated, b.post("/v1/charges", `{"amount_sats":1}`, idempotent("undecided")).status)
}

func TestCancelCharge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.charge(`{"amount_sats":1}`)
	for range 2 {
		charge := b.object(b.post("/v1/charges/"+id+"/cancel", ""), http.StatusOK)
		require.Equal(t, "canceled", charge["status"])
	}
	require.Equal(t, http.StatusOK, b.post("/v1/charges/"+id+"/cancel", "{}").status)

	paid := b.charge(`{"amount_sats":1}`)
	b.charges.pay(t, paid, 1000)
	first := b.post("/v1/charges/"+paid+"/cancel", "", idempotent("c"))
	b.refused(first, payments.CodeChargeNotCancelable)
	again := b.post("/v1/charges/"+paid+"/cancel", "", idempotent("c"))
	require.Equal(t, first.body, again.body)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	b.writesNothing(func() {
		b.refused(b.post("/v1/charges/"+paid+"/cancel", `{"x":1}`), payments.CodeInvalidRequest)
		b.refused(b.post("/v1/charges/"+paid+"/cancel", `{}`, idempotent("c")), payments.CodeIdempotencyKeyReused)
	})
}

// TestForeignCharges: another workspace's charge, one being created and none
// at all have the same answer, and asking writes nothing.
func TestForeignCharges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	foreign := b.charge(`{"amount_sats":1}`)
	b.key = b.newKey(b.newWorkspace(), nil, "charges:read", "charges:write")
	creating := payments.NewID(payments.PrefixCharge)
	_, err := b.store.Pool.Exec(t.Context(), `INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status,
		amount_msat, expires_in_s) SELECT $1, workspace_id, 'n', 'k', decode(repeat('ab', 32), 'hex'), 'creating', 1, 60
		FROM api_key ORDER BY id DESC LIMIT 1`, creating)
	require.NoError(t, err)
	b.writesNothing(func() {
		for _, id := range []string{
			foreign, creating, payments.NewID(payments.PrefixCharge), "ch_x", "usage2", "%00", "ch_" + strings.Repeat("z", 5000),
		} {
			b.refused(b.get("/v1/charges/"+id), payments.CodeNotFound)
			b.refused(b.get("/v1/charges/"+id+"?wait=1"), payments.CodeNotFound)
			b.refused(b.post("/v1/charges/"+id+"/cancel", ""), payments.CodeNotFound)
		}
		ids, _ := b.list(b.get("/v1/charges"))
		require.Empty(t, ids)
	})
}
