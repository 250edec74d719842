package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
)

func TestUnauthorized(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unknown, _, _ := apikey.NewKey(payments.Sandbox)
	production, _, _ := apikey.NewKey(payments.Production)
	past := time.Now().Add(-time.Minute)
	expired := b.newKey(b.workspace, &past, "charges:read")
	headers := map[string][]string{
		"missing":     nil,
		"empty":       {""},
		"no scheme":   {b.key},
		"basic":       {"Basic " + b.key},
		"malformed":   {"Bearer x"},
		"typo":        {"Bearer " + b.key[:len(b.key)-1] + "_"},
		"unknown":     {"Bearer " + unknown},
		"not served":  {"Bearer " + production},
		"expired":     {"Bearer " + expired},
		"two headers": {"Bearer " + b.key, "Bearer " + b.key},
	}
	var same string
	b.writesNothing(func() {
		for name, values := range headers {
			answer := b.post("/v1/charges", `{"amount_sats":1}`, withHeader("X-Request-Id", "r"),
				func(r *http.Request) { r.Header["Authorization"] = values })
			b.refused(answer, payments.CodeUnauthorized)
			require.Equal(t, "Bearer", answer.header.Get("WWW-Authenticate"), name)
			if same == "" {
				same = answer.body
			}
			require.Equal(t, same, answer.body, name)
		}
	})
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withHeader("Authorization", "bearer "+b.key)).status)
}

// TestScopes goes through every route with every scope but the right one, and
// with the right one only.
func TestScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	routes := api.RouteScopes()
	require.Len(t, routes, 34)
	for operation, scope := range routes {
		method, path, _ := strings.Cut(operation, " ")
		path = strings.Replace(path, ":id", "ch_00000000000000000000000000", 1)
		if strings.HasSuffix(path, "/stream") {
			path += "?refused=1" // It would never end.
		}
		var others []apikey.Scope
		for _, other := range apikey.Scopes() {
			if string(other) != scope {
				others = append(others, other)
			}
		}
		lacking, having := b.newKey(b.workspace, nil, others...), b.newKey(b.workspace, nil, apikey.Scope(scope))
		b.writesNothing(func() {
			problem := b.refused(b.do(method, path, "", withKey(lacking)), payments.CodeForbidden)
			require.Contains(t, problem["detail"], scope, operation)
			allowed := b.do(method, path, "", withKey(having))
			require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, allowed.status, operation)
		})
	}
}

func TestBodyAndMethods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	big := `{"amount_sats":1,"description":"` + strings.Repeat("x", 64<<10) + `"}`
	b.writesNothing(func() {
		b.refused(b.post("/v1/charges", big), payments.CodePayloadTooLarge)
		b.refused(b.post("/v1/keys", big), payments.CodePayloadTooLarge)
		for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"} {
			b.refused(b.post("/v1/charges", `{"amount_sats":1}`, withHeader("Content-Type", media)), payments.CodeUnsupportedMediaType)
		}
		b.refused(b.post("/v1/charges", ""), payments.CodeInvalidRequest)
		for path, allow := range map[string]string{"/v1/charges": "GET, POST", "/v1/balance": "GET", "/v1/keys/x": "DELETE"} {
			answer := b.do(http.MethodPut, path, "")
			b.refused(answer, payments.CodeMethodNotAllowed)
			got := strings.Split(answer.header.Get("Allow"), ", ")
			require.ElementsMatch(t, strings.Split(allow, ", "), got, path)
		}
		for _, path := range []string{"/", "/v1", "/v1/charges/", "/v2/charges", "/v1/charges/ch_x/y", "/.env", "/v1/Charges"} {
			b.refused(b.get(path), payments.CodeNotFound)
		}
	})
	require.Equal(t, http.StatusCreated,
		b.post("/v1/charges", `{"amount_sats":1}`, withHeader("Content-Type", "application/json; charset=UTF-8")).status)
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "mine-1", b.get("/v1/charges", withHeader("X-Request-Id", "mine-1")).header.Get("X-Request-Id"))
	for _, path := range []string{"/v1/charges", "/nowhere", "/openapi.json"} {
		for _, hostile := range []string{"", "a b", strings.Repeat("x", 129), "<script>"} {
			answer := b.get(path, withHeader("X-Request-Id", hostile))
			require.Regexp(t, `^req_[0-9a-z]{26}$`, answer.header.Get("X-Request-Id"))
			require.Equal(t, "no-store", answer.header.Get("Cache-Control"))
		}
	}
}

// TestPanic: 500, and not a word of the panic.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.charges.plan(panics)
	answer := b.post("/v1/charges", `{"amount_sats":1}`)
	b.refused(answer, payments.CodeInternal)
	require.NotContains(t, answer.body, "secret text")
	require.Equal(t, http.StatusCreated, b.post("/v1/charges", `{"amount_sats":1}`).status)
}

// TestPostgresAway: 503 without Postgres' words, for reads and writes.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusOK, b.get("/v1/charges").status)
	b.store.Pool.Close()
	for _, answer := range []reply{
		b.get("/v1/charges"), b.get("/v1/balance"), b.post("/v1/charges", `{"amount_sats":1}`),
		b.get("/v1/charges", withKey(mustKey())), b.post("/v1/keys", `{"name":"x","scopes":["keys:read"]}`),
	} {
		problem := b.refused(answer, payments.CodeServiceUnavailable)
		require.NotContains(t, answer.body, "pool")
		require.NotEmpty(t, problem["request_id"])
		require.Equal(t, "1", answer.header.Get("Retry-After"))
	}
}

func mustKey() string {
	secret, _, _ := apikey.NewKey(payments.Sandbox)

	return secret
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	document := b.object(b.get("/openapi.json", func(r *http.Request) { r.Header.Del("Authorization") }), http.StatusOK)
	require.Equal(t, "3.1.0", document["openapi"])
	// Every route is described, and nothing else.
	described := map[string]bool{}
	for path, item := range document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" && path != "/openapi.json" {
				described[strings.ToUpper(method)+" "+strings.ReplaceAll(path, "{id}", ":id")] = true
			}
		}
	}
	for operation := range api.RouteScopes() {
		require.True(t, described[operation], operation)
		delete(described, operation)
	}
	require.Empty(t, described)
	require.False(t, bytes.Contains(api.OpenAPI(), []byte("\t")))
}
