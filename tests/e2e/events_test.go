package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/sse"
)

// awaitDelivery waits until a delivery has so many attempts and is over.
func (c *client) awaitDelivery(t *testing.T, id string, attempts int) object {
	t.Helper()
	var got object
	require.Eventually(t, func() bool {
		_, got, _ = c.call(t, "GET", "/v1/webhooks/deliveries/"+id, "")
		made, _ := got["attempts"].([]any)

		return got["status"] != "pending" && len(made) == attempts
	}, 20*time.Second, 50*time.Millisecond, "%v", &got)

	return got
}

// What a developer does with a new endpoint: has it tested, sees how that went,
// has it sent again, rotates its secret.
func TestEndpointIsTriedOut(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	url, got := receive(t, http.StatusTeapot, http.StatusOK)
	status, endpoint, _ := c.call(t, "POST", "/v1/webhooks/endpoints", `{"url":"`+url+`","events":["withdrawal.failed"]}`)
	require.Equal(t, http.StatusCreated, status)
	path, old := "/v1/webhooks/endpoints/"+text(endpoint, "id"), text(endpoint, "secret")
	status, delivery, _ := c.call(t, "POST", path+"/test", "")
	require.Equal(t, http.StatusAccepted, status, delivery)
	first, second := next(t, got), next(t, got)
	require.Equal(t, first.body, second.body)
	id := text(delivery, "id")
	delivery = c.awaitDelivery(t, id, 2)
	require.Equal(t, "succeeded", delivery["status"])
	failed, _ := delivery["attempts"].([]any)[0].(object)
	require.EqualValues(t, http.StatusTeapot, failed["status_code"])
	require.Contains(t, failed["error"], "418")

	status, rotated, _ := c.call(t, "POST", path+"/rotate-secret", `{"overlap_seconds":60}`)
	require.Equal(t, http.StatusOK, status, rotated)
	status, _, _ = c.call(t, "POST", "/v1/webhooks/deliveries/"+id+"/redeliver", "")
	require.Equal(t, http.StatusAccepted, status)
	third := next(t, got)
	require.Equal(t, first.body, third.body)
	require.Equal(t, first.header.Get("webhook-id"), third.header.Get("webhook-id"))
	for _, secret := range []string{old, text(rotated, "secret")} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(third.body, third.header))
	}
	require.Equal(t, first.header.Get("x-lntpay-signature"), third.header.Get("x-lntpay-signature"),
		"the old secret until the overlap ends")
	c.awaitDelivery(t, id, 3)
	status, _, _ = c.call(t, "POST", path+"/rotate-secret", `{"overlap_seconds":0}`)
	require.Equal(t, http.StatusOK, status)
	_, _, _ = c.call(t, "POST", "/v1/webhooks/deliveries/"+id+"/redeliver", "")
	require.NotEqual(t, first.header.Get("x-lntpay-signature"), next(t, got).header.Get("x-lntpay-signature"))
}

// A client of the stream learns of a payment as fast as an endpoint does.
func TestStreamTellsOfAPayment(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.APIURL+"/v1/events/stream", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+c.key)
	stream, err := sse.Open(http.DefaultClient, request, "")
	require.NoError(t, err)
	defer stream.Close()
	charge := c.charge(t, 10, "")
	c.pay(t, charge, 0)
	event, err := stream.NextEvent()
	require.NoError(t, err)
	require.Equal(t, "charge.paid", event.Type)
	var streamed object
	require.NoError(t, json.Unmarshal([]byte(event.Data), &streamed))
	_, read, _ := c.call(t, "GET", "/v1/events/"+event.ID, "")
	require.Equal(t, read, streamed)
	data, _ := streamed["data"].(object)
	require.Equal(t, c.await(t, text(charge, "id")), data["object"])
}
