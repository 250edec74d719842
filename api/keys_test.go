package api_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = `{"name":"dashboard","scopes":["charges:read","keys:read","charges:read"]}`
	created := b.post("/v1/keys", body, idempotent("k"))
	key := b.object(created, http.StatusCreated)
	secret := key["secret"].(string)
	require.Equal(t, secret[len(secret)-4:], key["last4"])
	require.Equal(t, []any{"charges:read", "keys:read"}, key["scopes"])
	require.Nil(t, key["expires_at"])
	var hash []byte
	require.NoError(t, b.store.Pool.QueryRow(t.Context(), "SELECT secret_sha256 FROM api_key WHERE id = $1", key["id"]).Scan(&hash))
	sum := sha256.Sum256([]byte(secret))
	require.Equal(t, sum[:], hash)
	b.nowhere(secret)

	// A repeat is the same key without its secret.
	b.writesNothing(func() {
		again := b.post("/v1/keys", body, idempotent("k"))
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		replayed := b.object(again, http.StatusCreated)
		require.NotContains(t, replayed, "secret")
		delete(key, "secret")
		require.Equal(t, key, replayed)
		b.refused(b.post("/v1/keys", body+" ", idempotent("k")), payments.CodeIdempotencyKeyReused)
	})

	ids, _ := b.list(b.get("/v1/keys", withKey(secret)))
	require.Len(t, ids, 2)
	require.Equal(t, key["id"], ids[0])

	// Deleted, it stops at once.
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withKey(secret)).status)
	gone := b.do(http.MethodDelete, "/v1/keys/"+ids[0], "")
	require.Equal(t, http.StatusNoContent, gone.status)
	require.Empty(t, gone.body)
	b.refused(b.get("/v1/charges", withKey(secret)), payments.CodeUnauthorized)
	b.refused(b.do(http.MethodDelete, "/v1/keys/"+ids[0], ""), payments.CodeNotFound)
	ids, _ = b.list(b.get("/v1/keys"))
	require.Len(t, ids, 1)
}

// nowhere checks that a secret is in no row.
func (b *bench) nowhere(secret string) {
	b.t.Helper()
	for _, table := range []string{"claim", "api_key", "webhook_endpoint"} {
		var count int
		require.NoError(b.t, b.store.Pool.QueryRow(b.t.Context(), fmt.Sprintf(
			`SELECT count(*) FROM %[1]s WHERE position($1 IN %[1]s::text) > 0
			OR position(encode($1::bytea, 'hex') IN %[1]s::text) > 0`, table), secret).Scan(&count))
		require.Zero(b.t, count, table)
	}
}

func TestKeyRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	soon := time.Now().Add(time.Hour)
	narrow := b.newKey(b.workspace, &soon, "keys:write", "charges:read")
	at := func(d time.Duration) string { return soon.Add(d).UTC().Format(time.RFC3339) }
	refused := []struct {
		key, body string
		code      payments.Code
	}{
		{b.key, `{"scopes":["charges:read"]}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"","scopes":["charges:read"]}`, payments.CodeInvalidRequest},
		{b.key, `{"name":7,"scopes":["charges:read"]}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x"}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":[]}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":[null]}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":"charges:read"}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":["*"]}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":["charges:read"],"expires_at":"2020-01-01T00:00:00Z"}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":["charges:read"],"expires_at":"tomorrow"}`, payments.CodeInvalidRequest},
		{b.key, `{"name":"x","scopes":["charges:read"],"secret":"y"}`, payments.CodeInvalidRequest},
		{narrow, `{"name":"x","scopes":["charges:write"],"expires_at":"` + at(-time.Minute) + `"}`, payments.CodeForbidden},
		{narrow, `{"name":"x","scopes":["charges:read"],"expires_at":"` + at(time.Minute) + `"}`, payments.CodeForbidden},
		{narrow, `{"name":"x","scopes":["charges:read"]}`, payments.CodeForbidden},
	}
	b.writesNothing(func() {
		for _, c := range refused {
			b.refused(b.post("/v1/keys", c.body, withKey(c.key)), c.code)
		}
	})
	made := b.post("/v1/keys", `{"name":"x","scopes":["charges:read"],"expires_at":"`+at(-time.Minute)+`"}`, withKey(narrow))
	require.Equal(t, http.StatusCreated, made.status, made.body)

	// Another workspace can neither see nor delete it.
	id := b.object(made, http.StatusCreated)["id"].(string)
	foreign := b.newKey(b.newWorkspace(), nil, "keys:write", "keys:read")
	b.refused(b.do(http.MethodDelete, "/v1/keys/"+id, "", withKey(foreign)), payments.CodeNotFound)
	ids, _ := b.list(b.get("/v1/keys", withKey(foreign)))
	require.NotContains(t, ids, id)
	b.refused(b.do(http.MethodDelete, "/v1/keys/x", ""), payments.CodeNotFound)
}

// TestKeyExpires: a cached key ends at its time, not when the cache forgets it.
func TestKeyExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	soon := time.Now().Add(4 * time.Second) // Far enough for a slow machine.
	key := b.newKey(b.workspace, &soon, "charges:read")
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withKey(key)).status)
	time.Sleep(time.Until(soon) + 200*time.Millisecond)
	b.refused(b.get("/v1/charges", withKey(key)), payments.CodeUnauthorized)
}

// TestConcurrentKeys: one key and one endpoint come of many repeats, and one
// answer shows the secret.
func TestConcurrentKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replies := make([]reply, 16)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			replies[i], _ = b.try(http.MethodPost, "/v1/keys", `{"name":"x","scopes":["charges:read"]}`, idempotent("k"))
		})
	}
	all.Wait()
	secrets, ids := 0, map[any]bool{}
	for _, answer := range replies {
		key := b.object(answer, http.StatusCreated)
		ids[key["id"]] = true
		if _, shown := key["secret"]; shown {
			secrets++
		}
	}
	require.Equal(t, 1, secrets)
	require.Len(t, ids, 1)
	require.Equal(t, 2, b.rows()["api_key"])
}
