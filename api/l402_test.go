package api_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

const testResource = "GET /forecast"

// sold is a challenge, and the token that its payer has.
func (b *bench) sold(body string, options ...option) (challenge map[string]any, credential *l402.Credential) {
	b.t.Helper()
	challenge = b.object(b.post("/v1/l402/challenges", body, options...), http.StatusCreated)
	macaroon, err := l402.ParseMacaroon(challenge["macaroon"].(string))
	require.NoError(b.t, err)

	return challenge, &l402.Credential{Macaroon: macaroon, Preimage: preimageOf(challenge["id"].(string))}
}

func (b *bench) verify(authorization, resource string, options ...option) map[string]any {
	b.t.Helper()
	body := fmt.Sprintf(`{"authorization":%q,"resource":%q}`, authorization, resource)

	return b.object(b.post("/v1/l402/verify", body, options...), http.StatusOK)
}

func TestAnL402TokenFromChallengeToRevocation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = `{"amount_sats":21,"resource":"GET /forecast","caveats":["city=Berlin"],"expires_in":60,"external_id":"x"}`
	challenge, credential := b.sold(body, idempotent("k"))
	charge := challenge["charge"].(map[string]any)
	require.Equal(t, "l402_challenge", challenge["object"])
	require.Equal(t, challenge["id"], charge["id"])
	require.EqualValues(t, 21_000, charge["amount_msat"])
	require.Equal(t, "GET /forecast", charge["description"])
	require.Equal(t, "x", charge["external_id"])
	require.Equal(t, []any{"lntpay_resource=GET /forecast", "city=Berlin"}, challenge["caveats"])
	require.Equal(t, charge, b.object(b.get("/v1/charges/"+charge["id"].(string)), http.StatusOK))

	parsed, err := l402.ParseChallenge(http.Header{"Www-Authenticate": {challenge["www_authenticate"].(string)}})
	require.NoError(t, err)
	require.Equal(t, challenge["macaroon"], parsed.Macaroon.String())
	require.Equal(t, charge["bolt11"], parsed.Invoice)

	again := b.post("/v1/l402/challenges", body, idempotent("k"))
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, challenge, b.object(again, http.StatusCreated))
	b.refused(b.post("/v1/l402/challenges", strings.Replace(body, "21", "22", 1), idempotent("k")), payments.CodeIdempotencyKeyReused)

	verdict := b.verify(credential.String(), testResource)
	require.Equal(t, map[string]any{
		"object": "l402_verification", "environment": "sandbox", "valid": true, "reason": nil,
		"charge_id": charge["id"], "payment_hash": charge["payment_hash"],
		"caveats": []any{"lntpay_resource=GET /forecast", "city=Berlin"},
	}, verdict)

	for range 2 {
		require.Equal(t, http.StatusNoContent, b.do(http.MethodDelete, "/v1/l402/challenges/"+challenge["id"].(string), "").status)
		require.Equal(t, "revoked", b.verify(credential.String(), testResource)["reason"])
	}
	require.Equal(t, charge, b.object(b.get("/v1/charges/"+charge["id"].(string)), http.StatusOK), "the charge is what it was")
}

// Repeats at the same time share one attempt, and each makes its own answer of it.
func TestConcurrentRepeatsOfAnL402Challenge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.charges.plan(slowly)
	replies := make([]reply, 16)
	errs := make([]error, len(replies))
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			replies[i], errs[i] = b.try(http.MethodPost, "/v1/l402/challenges", `{"amount_sats":21,"resource":"a"}`, idempotent("k"))
		})
	}
	all.Wait()
	for i, answer := range replies {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusCreated, answer.status, answer.body)
		require.Equal(t, replies[0].body, answer.body)
	}
}

func TestL402Verdicts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	soon, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Second).Unix()
	_, good := b.sold(fmt.Sprintf(`{"amount_sats":21,"resource":"GET /forecast","caveats":["lntpay_valid_until=%d","services=weather:0,news:0"]}`, soon))
	_, late := b.sold(fmt.Sprintf(`{"amount_sats":21,"resource":"GET /forecast","caveats":["lntpay_valid_until=%d"]}`, past))
	with := func(caveat l402.Caveat) string {
		return (&l402.Credential{Macaroon: good.Macaroon.Attenuate(caveat), Preimage: good.Preimage}).String()
	}
	forged := *good.Macaroon
	forged.Caveats = forged.Caveats[:1]
	preimage := hex.EncodeToString(good.Preimage[:])
	for name, test := range map[string]struct{ authorization, resource, reason string }{
		"good":               {good.String(), testResource, ""},
		"LSAT":               {"LSAT" + strings.TrimPrefix(good.String(), "L402"), testResource, ""},
		"narrowed":           {with(l402.Services("news")), testResource, ""},
		"with its preimage":  {with(l402.Caveat{Condition: "preimage", Value: preimage}), testResource, ""},
		"a good one of two":  {"L402 " + late.Macaroon.String() + "," + strings.TrimPrefix(good.String(), "L402 "), testResource, ""},
		"other resource":     {good.String(), "GET /admin", "wrong_resource"},
		"widened":            {with(l402.Services("admin")), testResource, "widened"},
		"later":              {with(l402.ValidUntil("lntpay", time.Now().Add(9*time.Hour))), testResource, "widened"},
		"expired":            {late.String(), testResource, "expired"},
		"forged":             {(&l402.Credential{Macaroon: &forged, Preimage: good.Preimage}).String(), testResource, "bad_signature"},
		"wrong preimage":     {(&l402.Credential{Macaroon: good.Macaroon}).String(), testResource, "wrong_preimage"},
		"not a token":        {"L402 nonsense", testResource, "malformed"},
		"another scheme":     {"Bearer abc", testResource, "malformed"},
		"no macaroon at all": {"L402 :" + preimage, testResource, "malformed"},
	} {
		verdict := b.verify(test.authorization, test.resource)
		require.Equal(t, test.reason == "", verdict["valid"], name)
		require.NotContains(t, fmt.Sprint(verdict), preimage, name)
		if test.reason != "" {
			require.Equal(t, test.reason, verdict["reason"], name)
		}
		known := test.reason != "malformed" && test.reason != "bad_signature"
		require.Equal(t, known, verdict["charge_id"] != nil, name)
	}
}

// A token of one workspace is a forgery to another, which cannot revoke it.
func TestL402TokensAreTheWorkspacesOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	challenge, credential := b.sold(`{"amount_sats":21,"resource":"GET /forecast"}`)
	other := withKey(b.newKey(b.newWorkspace(), nil, apikey.ChargesRead, apikey.ChargesWrite))
	require.Equal(t, "bad_signature", b.verify(credential.String(), testResource, other)["reason"])
	path := "/v1/l402/challenges/" + challenge["id"].(string)
	b.refused(b.do(http.MethodDelete, path, "", other), payments.CodeNotFound)
	require.Equal(t, true, b.verify(credential.String(), testResource)["valid"])

	plain := b.object(b.post("/v1/charges", `{"amount_sats":1}`), http.StatusCreated)
	b.refused(b.do(http.MethodDelete, "/v1/l402/challenges/"+plain["id"].(string), ""), payments.CodeNotFound)
	b.refused(b.do(http.MethodDelete, "/v1/l402/challenges/x", ""), payments.CodeNotFound)
}

func TestL402RequestsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("x", 501)
	b.writesNothing(func() {
		for name, test := range map[string]struct{ path, body, field string }{
			"no resource":      {"challenges", `{"amount_sats":1}`, "resource"},
			"empty resource":   {"challenges", `{"amount_sats":1,"resource":""}`, "resource"},
			"long resource":    {"challenges", fmt.Sprintf(`{"amount_sats":1,"resource":%q}`, long), "resource"},
			"control":          {"challenges", `{"amount_sats":1,"resource":"a\nb"}`, "resource"},
			"no amount":        {"challenges", `{"resource":"a"}`, "amount_msat"},
			"caveats' type":    {"challenges", `{"amount_sats":1,"resource":"a","caveats":"x=y"}`, "caveats"},
			"no condition":     {"challenges", `{"amount_sats":1,"resource":"a","caveats":["x"]}`, "caveats.0"},
			"caveat's control": {"challenges", `{"amount_sats":1,"resource":"a","caveats":["x=a\u0001"]}`, "caveats.0"},
			"long caveat":      {"challenges", fmt.Sprintf(`{"amount_sats":1,"resource":"a","caveats":["a=b","x=%s"]}`, long), "caveats.1"},
			"long together":    {"challenges", fmt.Sprintf(`{"amount_sats":1,"resource":"a","caveats":["a=%[1]s","b=%[1]s","c=%[1]s","d=%[1]s","e=%[1]s"]}`, long[:450]), "caveats"},
			"their resource":   {"challenges", `{"amount_sats":1,"resource":"a","caveats":["lntpay_resource=b"]}`, "caveats.0"},
			"their preimage":   {"challenges", `{"amount_sats":1,"resource":"a","caveats":["preimage=b"]}`, "caveats.0"},
			"no time":          {"challenges", `{"amount_sats":1,"resource":"a","caveats":["lntpay_valid_until=soon"]}`, "caveats.0"},
			"no authorization": {"verify", `{"resource":"a"}`, "authorization"},
			"nothing to open":  {"verify", `{"authorization":"L402 a:b"}`, "resource"},
			"unknown field":    {"verify", `{"authorization":"L402 a:b","resource":"a","consume":true}`, "consume"},
		} {
			problem := b.refused(b.post("/v1/l402/"+test.path, test.body), payments.CodeInvalidRequest)
			require.Contains(t, fmt.Sprint(problem["errors"]), "field:"+test.field+" ", name)
		}
		b.refused(b.post("/v1/l402/challenges", `{"amount_sats":0,"resource":"a"}`), payments.CodeAmountOutOfRange)
	})
}
