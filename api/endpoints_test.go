package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

const endpoints = "/v1/webhooks/endpoints"

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = `{"url":"https://example.com/hook","events":["charge.paid","charge.expired"],"description":"mine"}`
	endpoint := b.object(b.post(endpoints, body, idempotent("k")), http.StatusCreated)
	secret, id := endpoint["secret"].(string), endpoint["id"].(string)
	b.nowhere(secret)
	var sealed []byte
	require.NoError(t, b.store.Pool.QueryRow(t.Context(), "SELECT secret_sealed FROM webhook_endpoint WHERE id = $1", id).Scan(&sealed))
	opened, err := b.sealer.Open(id, sealed)
	require.NoError(t, err)
	require.Equal(t, secret, opened)

	delete(endpoint, "secret")
	b.writesNothing(func() {
		again := b.post(endpoints, body, idempotent("k"))
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.Equal(t, endpoint, b.object(again, http.StatusCreated))
	})
	require.Equal(t, endpoint, b.object(b.get(endpoints+"/"+id), http.StatusOK))
	ids, _ := b.list(b.get(endpoints))
	require.Equal(t, []string{id}, ids)

	changed := b.object(b.do(http.MethodPatch, endpoints+"/"+id, `{"status":"disabled"}`), http.StatusOK)
	require.Equal(t, "disabled", changed["status"])
	require.Equal(t, "mine", changed["description"])
	changed = b.object(b.do(http.MethodPatch, endpoints+"/"+id,
		`{"url":"https://example.org/","events":["*"],"status":"enabled","description":null}`), http.StatusOK)
	require.Equal(t, []any{"https://example.org/", []any{"*"}, "enabled", nil},
		[]any{changed["url"], changed["events"], changed["status"], changed["description"]})
	require.Equal(t, changed, b.object(b.do(http.MethodPatch, endpoints+"/"+id, `{}`), http.StatusOK))

	foreign := withKey(b.newKey(b.newWorkspace(), nil, "webhooks:read", "webhooks:write"))
	b.writesNothing(func() {
		b.refused(b.get(endpoints+"/"+id, foreign), payments.CodeNotFound)
		b.refused(b.do(http.MethodPatch, endpoints+"/"+id, `{}`, foreign), payments.CodeNotFound)
		b.refused(b.do(http.MethodDelete, endpoints+"/"+id, "", foreign), payments.CodeNotFound)
		b.refused(b.get(endpoints+"/x"), payments.CodeNotFound)
	})
	require.Equal(t, http.StatusNoContent, b.do(http.MethodDelete, endpoints+"/"+id, "").status)
	b.refused(b.get(endpoints+"/"+id), payments.CodeNotFound)
	b.refused(b.do(http.MethodDelete, endpoints+"/"+id, ""), payments.CodeNotFound)
	b.refused(b.do(http.MethodPatch, endpoints+"/"+id, `{"status":"enabled"}`), payments.CodeNotFound)
	ids, _ = b.list(b.get(endpoints))
	require.Empty(t, ids)
}

func TestWebhookEndpointRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.object(b.post(endpoints, `{"url":"https://example.com/","events":["*"]}`), http.StatusCreated)["id"].(string)
	const invalid, notAllowed = payments.CodeInvalidRequest, payments.CodeURLNotAllowed
	creations := map[string]payments.Code{
		`{"events":["*"]}`:          invalid,
		`{"url":"","events":["*"]}`: invalid,
		`{"url":5,"events":["*"]}`:  invalid,
		`{"url":"https://example.com/` + strings.Repeat("x", 2048) + `","events":["*"]}`:                 invalid,
		`{"url":"https://example.com/"}`:                                                                 invalid,
		`{"url":"https://example.com/","events":[]}`:                                                     invalid,
		`{"url":"https://example.com/","events":["charge.made"]}`:                                        invalid,
		`{"url":"https://example.com/","events":["*"],"status":"enabled"}`:                               invalid,
		`{"url":"https://example.com/","events":["*"],"description":"` + strings.Repeat("d", 640) + `"}`: invalid,
		`{"url":"http://127.0.0.1/","events":["*"]}`:                                                     notAllowed,
		`{"url":"http://localhost/","events":["*"]}`:                                                     notAllowed,
		`{"url":"http://169.254.169.254/","events":["*"]}`:                                               notAllowed,
		`{"url":"ftp://example.com/","events":["*"]}`:                                                    notAllowed,
		`{"url":"not a url","events":["*"]}`:                                                             notAllowed,
		`{"url":"https://user:pass@example.com/","events":["*"]}`:                                        notAllowed,
	}
	changes := map[string]payments.Code{
		`{"url":null}`: invalid, `{"events":null}`: invalid, `{"status":null}`: invalid, `{"status":"off"}`: invalid,
		`{"secret":"x"}`: invalid, `{"url":"http://10.0.0.1/"}`: notAllowed, ``: invalid,
	}
	b.writesNothing(func() {
		for body, code := range creations {
			b.refused(b.post(endpoints, body), code)
		}
		for body, code := range changes {
			b.refused(b.do(http.MethodPatch, endpoints+"/"+id, body), code)
		}
	})
}
