package suite

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// Delivery is what a receiver got.
type Delivery struct {
	Header http.Header
	Body   []byte
}

// Receive serves a receiver whose first answers are the given statuses.
func (s *Stack) Receive(t *testing.T, answers ...int) (url string, got chan Delivery) {
	t.Helper()
	got = make(chan Delivery, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- Delivery{r.Header, body}
		if len(answers) > 0 {
			w.WriteHeader(answers[0])
			answers = answers[1:]
		}
	}))
	t.Cleanup(server.Close)

	return s.reach(t, server.URL), got
}

// Subscribe has all events delivered to url, signed with secret.
func (c *Client) Subscribe(t *testing.T, url string) (secret string) {
	t.Helper()
	status, endpoint, _ := c.Call(t, "POST", "/v1/webhooks/endpoints", `{"url":"`+url+`","events":["*"]}`)
	require.Equal(t, http.StatusCreated, status, endpoint)

	return Text(endpoint, "secret")
}

// Next is the next delivery; the test fails if none comes in 30 seconds.
func Next(t *testing.T, got chan Delivery) Delivery {
	t.Helper()

	return NextWithin(t, got, 30*time.Second)
}

// NextWithin is Next with another patience.
func NextWithin(t *testing.T, got chan Delivery, d time.Duration) Delivery {
	t.Helper()
	select {
	case one := <-got:
		return one
	case <-time.After(d):
		require.Fail(t, "no delivery came")

		return Delivery{}
	}
}

func testWebhookIsSignedAndCheap(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url, got := c.Receive(t)
	secret := c.Subscribe(t, url)
	charge := c.Charge(t, 10, "")
	c.Pay(t, charge, 0)
	one := Next(t, got)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(one.Body)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), one.Header.Get("x-lntpay-signature"))
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify(one.Body, one.Header))

	var event Object
	require.NoError(t, json.Unmarshal(one.Body, &event))
	require.Equal(t, "charge.paid", event["type"])
	require.Equal(t, one.Header.Get("webhook-id"), event["id"])
	data, _ := event["data"].(Object)
	frozen, _ := data["object"].(Object)
	require.Equal(t, c.Await(t, Text(charge, "id")), frozen, "the event holds the charge as it is answered")

	transitions := c.RequireClosed(t, Text(charge, "id"))
	t.Logf("%d state transitions with one healthy endpoint", transitions)
	require.LessOrEqual(t, transitions, int64(9))
}

// A receiver that fails gets the same bytes again, by a workflow of the
// delivery's own; the charge's has ended long before.
func testFailedDeliveryIsRepeated(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url, got := c.Receive(t, http.StatusInternalServerError, http.StatusOK)
	c.Subscribe(t, url)
	charge := c.Charge(t, 10, "")
	c.Pay(t, charge, 0)
	first, second := Next(t, got), Next(t, got)
	require.Equal(t, first.Body, second.Body)
	require.Equal(t, first.Header.Get("webhook-id"), second.Header.Get("webhook-id"))
	require.Eventually(t, func() bool {
		var attempts int
		var status string
		require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
			`SELECT attempts, status FROM delivery WHERE workspace_id = $1`, c.WorkspaceID).Scan(&attempts, &status))

		return attempts == 2 && status == "succeeded"
	}, 10*time.Second, 50*time.Millisecond)
	c.RequireClosed(t, Text(charge, "id"))
}
