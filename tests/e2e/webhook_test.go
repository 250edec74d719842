package e2e_test

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

// delivery is what a receiver got.
type delivery struct {
	header http.Header
	body   []byte
}

// receive serves a receiver whose first answers are the given statuses.
func receive(t *testing.T, answers ...int) (url string, got chan delivery) {
	t.Helper()
	got = make(chan delivery, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{r.Header, body}
		if len(answers) > 0 {
			w.WriteHeader(answers[0])
			answers = answers[1:]
		}
	}))
	t.Cleanup(server.Close)

	return server.URL, got
}

func (c *client) subscribe(t *testing.T, url string) (secret string) {
	t.Helper()
	status, endpoint, _ := c.call(t, "POST", "/v1/webhooks/endpoints", `{"url":"`+url+`","events":["*"]}`)
	require.Equal(t, http.StatusCreated, status, endpoint)

	return text(endpoint, "secret")
}

func next(t *testing.T, got chan delivery) delivery {
	t.Helper()

	return nextWithin(t, got, 30*time.Second)
}

func nextWithin(t *testing.T, got chan delivery, d time.Duration) delivery {
	t.Helper()
	select {
	case one := <-got:
		return one
	case <-time.After(d):
		require.Fail(t, "no delivery came")

		return delivery{}
	}
}

func TestWebhookIsSignedAndCheap(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	url, got := receive(t)
	secret := c.subscribe(t, url)
	charge := c.charge(t, 10, "")
	c.pay(t, charge, 0)
	one := next(t, got)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(one.body)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), one.header.Get("x-lntpay-signature"))
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify(one.body, one.header))

	var event object
	require.NoError(t, json.Unmarshal(one.body, &event))
	require.Equal(t, "charge.paid", event["type"])
	require.Equal(t, one.header.Get("webhook-id"), event["id"])
	data, _ := event["data"].(object)
	frozen, _ := data["object"].(object)
	require.Equal(t, c.await(t, text(charge, "id")), frozen, "the event holds the charge as it is answered")

	transitions := c.requireClosed(t, text(charge, "id"))
	t.Logf("%d state transitions with one healthy endpoint", transitions)
	require.LessOrEqual(t, transitions, int64(9))
}

// A receiver that fails gets the same bytes again, by a workflow of the
// delivery's own; the charge's has ended long before.
func TestFailedDeliveryIsRepeated(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	url, got := receive(t, http.StatusInternalServerError, http.StatusOK)
	c.subscribe(t, url)
	charge := c.charge(t, 10, "")
	c.pay(t, charge, 0)
	first, second := next(t, got), next(t, got)
	require.Equal(t, first.body, second.body)
	require.Equal(t, first.header.Get("webhook-id"), second.header.Get("webhook-id"))
	require.Eventually(t, func() bool {
		var attempts int
		var status string
		require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
			`SELECT attempts, status FROM delivery WHERE workspace_id = $1`, c.workspaceID).Scan(&attempts, &status))

		return attempts == 2 && status == "succeeded"
	}, 10*time.Second, 50*time.Millisecond)
	c.requireClosed(t, text(charge, "id"))
}
