package api_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

const deliveries = "/v1/webhooks/deliveries"

// endpoint makes one that takes the events.
func (b *bench) endpoint(events string) (id, secret string) {
	b.t.Helper()
	made := b.object(b.post(endpoints, `{"url":"https://example.com/","events":`+events+`}`), http.StatusCreated)

	return made["id"].(string), made["secret"].(string)
}

func TestListDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all, _ := b.endpoint(`["*"]`)
	canceled, _ := b.endpoint(`["charge.canceled"]`)
	paid, _ := b.endpoint(`["charge.paid"]`)
	b.happen(t, 3)
	whole, _ := b.list(b.get(deliveries))
	require.Len(t, whole, 6)
	require.Equal(t, whole, b.pages(deliveries+"?limit=4"))
	ids := func(query string) []string { ids, _ := b.list(b.get(deliveries + "?" + query)); return ids }
	require.Len(t, ids("endpoint_id="+all), 3)
	require.Len(t, ids("endpoint_id="+canceled+"&status=pending"), 3)
	require.Empty(t, ids("endpoint_id="+paid))
	event := b.object(b.get(deliveries+"/"+whole[0]), http.StatusOK)["event_id"].(string)
	require.Len(t, ids("event_id="+event), 2)
	require.Len(t, ids("event_id="+event+"&endpoint_id="+all), 1)

	succeeded, failed := whole[1], whole[2]
	_, err := b.store.RecordDeliverySuccess(t.Context(), db.RecordDeliverySuccessParams{ID: succeeded, StatusCode: 204, Response: []byte{}})
	require.NoError(t, err)
	b.fails(t, failed, 0, nil, []byte{}, true)
	require.Equal(t, []string{succeeded}, ids("status=succeeded"))
	require.Equal(t, []string{failed}, ids("status=failed"))
	require.Len(t, ids("status=pending"), 4)

	for _, query := range []string{"status=lost", "event_id=x", "endpoint_id=" + event, "cursor=x", "limit=0", "page=2", "status="} {
		b.refused(b.get(deliveries+"?"+query), payments.CodeInvalidRequest)
	}
	foreign := withKey(b.newKey(b.newWorkspace(), nil, "webhooks:read"))
	strange, _ := b.list(b.get(deliveries+"?endpoint_id="+all, foreign))
	require.Empty(t, strange)
	strange, _ = b.list(b.get(deliveries+"?event_id="+event, foreign))
	require.Empty(t, strange)
	b.refused(b.get(deliveries+"/"+whole[0], foreign), payments.CodeNotFound)
	b.refused(b.get(deliveries+"/x"), payments.CodeNotFound)
}

// TestDeliveryAttempts: what a stranger answered is shown, whatever it is.
func TestDeliveryAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.endpoint(`["*"]`)
	b.happen(t, 1)
	ids, _ := b.list(b.get(deliveries))
	status := int32(500)
	b.fails(t, ids[0], 0, nil, []byte{}, false)
	b.fails(t, ids[0], 1, &status, append(bytes.Repeat([]byte("x"), 2047), 0xe2), false)
	_, err := b.store.RecordDeliverySuccess(t.Context(), db.RecordDeliverySuccessParams{
		ID: ids[0], StatusCode: 200, Response: []byte("o\x00k"), DurationMs: 3,
	})
	require.NoError(t, err)
	delivery := b.object(b.get(deliveries+"/"+ids[0]), http.StatusOK)
	require.Equal(t, "succeeded", delivery["status"])
	require.Nil(t, delivery["next_attempt_at"])
	attempts := delivery["attempts"].([]any)
	require.Len(t, attempts, 3)
	show := func(i int) []any {
		a := attempts[i].(map[string]any)
		return []any{a["status_code"], a["error"], a["response"]}
	}
	require.Equal(t, []any{nil, "in words", nil}, show(0))
	require.Equal(t, []any{500.0, "in words", string(bytes.Repeat([]byte("x"), 2047)) + "\uFFFD"}, show(1))
	require.Equal(t, []any{200.0, nil, "o\x00k"}, show(2))
	listed := b.object(b.get(deliveries), http.StatusOK)["data"].([]any)
	require.Equal(t, []any{delivery}, listed)
}

// TestDeliveryIsOfOneInstant: a delivery that ends while it is read is shown
// with its attempt or without it, never half.
func TestDeliveryIsOfOneInstant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.endpoint(`["*"]`)
	b.happen(t, 40)
	ids, _ := b.list(b.get(deliveries + "?limit=100"))
	for _, id := range ids {
		recorded := make(chan error, 1)
		go func() {
			_, err := b.store.RecordDeliverySuccess(t.Context(), db.RecordDeliverySuccessParams{ID: id, StatusCode: 200, Response: []byte{}})
			recorded <- err
		}()
		for over := false; !over; {
			delivery := b.object(b.get(deliveries+"/"+id), http.StatusOK)
			over = delivery["status"] == "succeeded"
			require.Equal(t, over, len(delivery["attempts"].([]any)) == 1, "%v", delivery)
		}
		require.NoError(t, <-recorded)
	}
}

func TestRedeliver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, _ := b.endpoint(`["*"]`)
	b.happen(t, 1)
	ids, _ := b.list(b.get(deliveries))
	again := deliveries + "/" + ids[0] + "/redeliver"
	b.fails(t, ids[0], 0, nil, []byte{}, true)
	require.Nil(t, b.object(b.get(deliveries+"/"+ids[0]), http.StatusOK)["next_attempt_at"])
	first := b.post(again, "", idempotent("k"))
	delivery := b.object(first, http.StatusAccepted)
	require.Equal(t, "pending", delivery["status"])
	require.NotNil(t, delivery["next_attempt_at"])
	require.Len(t, delivery["attempts"], 1)
	require.Equal(t, ids, b.hooks.all())
	repeat := b.post(again, "", idempotent("k"))
	require.Equal(t, first.body, repeat.body)
	require.Equal(t, "true", repeat.header.Get("Idempotent-Replayed"))
	require.Len(t, b.hooks.all(), 1)

	// Temporal is away: the sweeper will start it.
	b.hooks.plan(failBefore)
	b.object(b.post(again, `{}`), http.StatusAccepted)
	require.Len(t, b.hooks.all(), 1)
	b.refused(b.post(again, `{"now":true}`), payments.CodeInvalidRequest)
	foreign := withKey(b.newKey(b.newWorkspace(), nil, "webhooks:write"))
	b.writesNothing(func() {
		b.refused(b.post(deliveries+"/dlv_00000000000000000000000000/redeliver", ""), payments.CodeNotFound)
		b.refused(b.post(again, "", foreign), payments.CodeNotFound)
		b.do(http.MethodPatch, endpoints+"/"+id, `{"status":"disabled"}`)
		b.refused(b.post(again, ""), payments.CodeEndpointDisabled)
		b.do(http.MethodDelete, endpoints+"/"+id, "")
		b.refused(b.post(again, ""), payments.CodeEndpointDisabled)
	})
}

// TestTestEvent: a test goes to its endpoint alone, whatever that takes.
func TestTestEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.endpoint(`["*"]`)
	id, _ := b.endpoint(`["charge.paid"]`)
	delivery := b.object(b.post(endpoints+"/"+id+"/test", "", idempotent("k")), http.StatusAccepted)
	require.Equal(t, []any{id, "pending"}, []any{delivery["endpoint_id"], delivery["status"]})
	require.Equal(t, []string{delivery["id"].(string)}, b.hooks.all())
	ids, _ := b.list(b.get(deliveries))
	require.Equal(t, []string{delivery["id"].(string)}, ids)
	event := b.object(b.get("/v1/events/"+delivery["event_id"].(string)), http.StatusOK)
	require.Equal(t, "webhook.test", event["type"])
	require.Equal(t, b.object(b.get(endpoints+"/"+id), http.StatusOK), event["data"].(map[string]any)["object"])
	b.object(b.post(endpoints+"/"+id+"/test", "", idempotent("k")), http.StatusAccepted)
	require.Equal(t, 1, b.rows()["event"])
	b.object(b.post(endpoints+"/"+id+"/test", ""), http.StatusAccepted)
	require.Equal(t, 2, b.rows()["event"])
	b.writesNothing(func() {
		b.refused(b.post(endpoints+"/we_00000000000000000000000000/test", ""), payments.CodeNotFound)
		b.do(http.MethodPatch, endpoints+"/"+id, `{"status":"disabled"}`)
		b.refused(b.post(endpoints+"/"+id+"/test", ""), payments.CodeEndpointDisabled)
	})
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, old := b.endpoint(`["*"]`)
	rotate := endpoints + "/" + id + "/rotate-secret"
	b.happen(t, 1)
	ids, _ := b.list(b.get(deliveries))
	secrets := func() (current, previous string) {
		row, err := b.store.LoadDelivery(t.Context(), ids[0])
		require.NoError(t, err)
		current, err = b.sealer.Open(id, row.SecretSealed)
		require.NoError(t, err)
		if len(row.PreviousSecretSealed) > 0 {
			previous, err = b.sealer.Open(id, row.PreviousSecretSealed)
			require.NoError(t, err)
		}

		return current, previous
	}
	rotated := b.object(b.post(rotate, "", idempotent("k")), http.StatusOK)
	fresh := rotated["secret"].(string)
	require.NotEqual(t, old, fresh)
	b.nowhere(fresh)
	now, before := secrets()
	require.Equal(t, []string{fresh, old}, []string{now, before})
	replay := b.post(rotate, "", idempotent("k"))
	delete(rotated, "secret")
	require.Equal(t, rotated, b.object(replay, http.StatusOK))
	now, before = secrets()
	require.Equal(t, []string{fresh, old}, []string{now, before}, "a repeat rotates nothing")

	// Two at a time.
	third := b.object(b.post(rotate, `{"overlap_seconds":3600}`), http.StatusOK)["secret"].(string)
	now, before = secrets()
	require.Equal(t, []string{third, fresh}, []string{now, before})
	// The overlap ends by Postgres' clock.
	_, err := b.store.Pool.Exec(t.Context(), "UPDATE webhook_endpoint SET previous_secret_until = now() - interval '1 second'")
	require.NoError(t, err)
	_, before = secrets()
	require.Empty(t, before)
	fourth := b.object(b.post(rotate, `{"overlap_seconds":0}`), http.StatusOK)["secret"].(string)
	now, before = secrets()
	require.Equal(t, []string{fourth, ""}, []string{now, before}, "a secret that leaked signs no more")
	foreign := withKey(b.newKey(b.newWorkspace(), nil, "webhooks:write"))
	b.writesNothing(func() {
		for _, body := range []string{
			`{"overlap_seconds":-1}`, `{"overlap_seconds":604801}`, `{"overlap_seconds":1.5}`, `{"overlap_seconds":"1"}`, `{"secret":"x"}`, `[]`,
		} {
			b.refused(b.post(rotate, body), payments.CodeInvalidRequest)
		}
		b.refused(b.post(rotate, "", foreign), payments.CodeNotFound)
	})
}
