package suite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/regtest"
	"github.com/lntpay/lntpay/tests/sse"
	"github.com/lntpay/lntpay/workflows"
)

// awaitDelivery waits until a delivery has so many attempts and is over.
func (c *Client) awaitDelivery(t *testing.T, id string, attempts int) Object {
	t.Helper()
	var got Object
	require.Eventually(t, func() bool {
		_, got, _ = c.Call(t, "GET", "/v1/webhooks/deliveries/"+id, "")
		made, _ := got["attempts"].([]any)

		return got["status"] != "pending" && len(made) == attempts
	}, 20*time.Second, 50*time.Millisecond, "%v", &got)

	return got
}

// What a developer does with a new endpoint: has it tested, sees how that went,
// has it sent again, rotates its secret.
func testEndpointIsTriedOut(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url, got := c.Receive(t, http.StatusTeapot, http.StatusOK)
	status, endpoint, _ := c.Call(t, "POST", "/v1/webhooks/endpoints", `{"url":"`+url+`","events":["withdrawal.failed"]}`)
	require.Equal(t, http.StatusCreated, status)
	path, old := "/v1/webhooks/endpoints/"+Text(endpoint, "id"), Text(endpoint, "secret")
	status, delivery, _ := c.Call(t, "POST", path+"/test", "")
	require.Equal(t, http.StatusAccepted, status, delivery)
	first, second := Next(t, got), Next(t, got)
	require.Equal(t, first.Body, second.Body)
	id := Text(delivery, "id")
	delivery = c.awaitDelivery(t, id, 2)
	require.Equal(t, "succeeded", delivery["status"])
	failed, _ := delivery["attempts"].([]any)[0].(Object)
	require.EqualValues(t, http.StatusTeapot, failed["status_code"])
	require.Contains(t, failed["error"], "418")

	status, rotated, _ := c.Call(t, "POST", path+"/rotate-secret", `{"overlap_seconds":60}`)
	require.Equal(t, http.StatusOK, status, rotated)
	status, _, _ = c.Call(t, "POST", "/v1/webhooks/deliveries/"+id+"/redeliver", "")
	require.Equal(t, http.StatusAccepted, status)
	// It should come at once. Once none came for 30 s, and nobody knows why: the
	// sweep would have brought it, which is all that rule R6 promises. A run in
	// which it does says so where all can see it.
	began := time.Now()
	third := NextWithin(t, got, 3*time.Minute)
	if took := time.Since(began); took > 30*time.Second {
		require.NoError(t, regtest.ReportNotProven(fmt.Sprintf("a redelivery comes at once: one took %s", took)))
	}
	require.Equal(t, first.Body, third.Body)
	require.Equal(t, first.Header.Get("webhook-id"), third.Header.Get("webhook-id"))
	for _, secret := range []string{old, Text(rotated, "secret")} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(third.Body, third.Header))
	}
	require.Equal(t, first.Header.Get("x-lntpay-signature"), third.Header.Get("x-lntpay-signature"),
		"the old secret until the overlap ends")
	c.awaitDelivery(t, id, 3)
	status, _, _ = c.Call(t, "POST", path+"/rotate-secret", `{"overlap_seconds":0}`)
	require.Equal(t, http.StatusOK, status)
	status, _, _ = c.Call(t, "POST", "/v1/webhooks/deliveries/"+id+"/redeliver", "")
	require.Equal(t, http.StatusAccepted, status)
	require.NotEqual(t, first.Header.Get("x-lntpay-signature"), Next(t, got).Header.Get("x-lntpay-signature"))
}

// What an operator does with a failing delivery in the Temporal UI: has it tried
// now instead of in five minutes, and cancels it.
func testOperatorRetriesAndCancelsADelivery(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url, got := c.Receive(t, slices.Repeat([]int{http.StatusServiceUnavailable}, 10)...)
	c.Subscribe(t, url)
	c.Pay(t, c.Charge(t, 10, ""), 0)
	Next(t, got)
	Next(t, got) // After 5 s; the third is due in 5 min.
	_, list, _ := c.Call(t, "GET", "/v1/webhooks/deliveries?status=pending", "")
	delivery, _ := list["data"].([]any)[0].(Object)
	run := "delivery/" + Text(delivery, "id")
	waits := func(attempts int) Object {
		var now Object
		require.Eventually(t, func() bool {
			_, now, _ = c.Call(t, "GET", "/v1/webhooks/deliveries/"+Text(delivery, "id"), "")
			made, _ := now["attempts"].([]any)

			return len(made) == attempts
		}, 10*time.Second, 20*time.Millisecond)

		return now
	}
	require.Greater(t, time.Until(Moment(t, waits(2), "next_attempt_at")), time.Minute)
	require.NoError(t, c.Temporal.SignalWorkflow(t.Context(), run, "", workflows.SignalRetry, nil))
	Next(t, got)
	waits(3)
	require.NoError(t, c.Temporal.CancelWorkflow(t.Context(), run, ""))
	c.requireEnded(t, run)
	delivery = waits(3)
	require.Equal(t, "failed", delivery["status"])
	require.Nil(t, delivery["next_attempt_at"])
}

// A client of the stream learns of a payment as fast as an endpoint does.
func testStreamTellsOfAPayment(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.APIURL+"/v1/events/stream", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+c.Key)
	stream, err := sse.Open(http.DefaultClient, request, "")
	require.NoError(t, err)
	defer stream.Close()
	charge := c.Charge(t, 10, "")
	c.Pay(t, charge, 0)
	event, err := stream.NextEvent()
	require.NoError(t, err)
	require.Equal(t, "charge.paid", event.Type)
	var streamed Object
	require.NoError(t, json.Unmarshal([]byte(event.Data), &streamed))
	_, read, _ := c.Call(t, "GET", "/v1/events/"+event.ID, "")
	require.Equal(t, read, streamed)
	data, _ := streamed["data"].(Object)
	require.Equal(t, c.Await(t, Text(charge, "id")), data["object"])
}
