package observability_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/lntpay/lntpay/tests/secret"
)

// TestNoSecretIsTold does what has to do with secrets, well and badly, and looks
// for them in every line of the log, from debug on, and in every span.
func TestNoSecretIsTold(t *testing.T) {
	c := newClient(t)
	secrets := [][]byte{[]byte(c.key)}
	endpoint, got := c.receive(t, http.StatusOK)
	secrets = append(secrets, []byte(text(endpoint, "secret")))
	rotated := c.call(t, http.StatusOK, "POST", "/v1/webhooks/endpoints/"+text(endpoint, "id")+"/rotate-secret", `{}`)
	secrets = append(secrets, []byte(text(rotated, "secret")))
	_, refused := c.receive(t, http.StatusInternalServerError)
	c.paid(t, 1000)
	<-got
	<-refused
	c.withdrawn(t)
	key := c.call(t, http.StatusCreated, "POST", "/v1/keys", `{"name":"second","scopes":["charges:read"]}`)
	secrets = append(secrets, []byte(text(key, "secret")))
	secrets = append(secrets, c.provenByToken(t)...)
	secrets = append(secrets, c.badly(t, text(key, "secret"))...)
	c.withoutTemporal(t)
	require.NotEmpty(t, text(endpoint, "secret"))
	require.NotEmpty(t, text(rotated, "secret"))
	require.NotEmpty(t, text(key, "secret"))

	held, err := secret.Of(t.Context(), c.Config.Sandbox, c.Store)
	require.NoError(t, err)
	secrets = append(secrets, held...)
	log := shared.log.all()
	spans, err := json.Marshal(shared.spans.GetSpans())
	require.NoError(t, err)
	t.Logf("%d bytes of log, %d spans in %d bytes, %d secrets", len(log), len(shared.spans.GetSpans()), len(spans), len(secrets))
	require.NoError(t, secret.Find(log, secrets), "in the log")
	require.NoError(t, secret.Find(spans, secrets), "in a span")
	// The search finds what is there.
	require.Error(t, secret.Find(append(log, secrets[0]...), secrets))
	require.Error(t, secret.Find(append(spans, hex.EncodeToString(secrets[len(secrets)-1])...), secrets))
}

// TestHistoriesHoldTraceIDsOnly reads what tracing writes into Temporal: the
// traceparent, which is ids.
func TestHistoriesHoldTraceIDsOnly(t *testing.T) {
	c := newClient(t)
	_, got := c.receive(t, http.StatusOK)
	id := c.paid(t, 1000)
	<-got
	var headers int
	events := c.Temporal.GetWorkflowHistory(t.Context(), "charge/"+id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		for _, header := range []*commonpb.Header{
			event.GetWorkflowExecutionStartedEventAttributes().GetHeader(),
			event.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput().GetHeader(),
			event.GetActivityTaskScheduledEventAttributes().GetHeader(),
		} {
			for name, payload := range header.GetFields() {
				headers++
				require.Equal(t, "_tracer-data", name)
				require.Regexp(t, `^\{"traceparent":"00-[0-9a-f]{32}-[0-9a-f]{16}-01"\}$`, string(payload.GetData()))
			}
		}
	}
	require.GreaterOrEqual(t, headers, 4, "of the start, the opening, the nudge and the attempt")
}

// provenByToken pays for an L402 token and proves it.
func (c *client) provenByToken(t *testing.T) (secrets [][]byte) {
	t.Helper()
	challenge := c.call(t, http.StatusCreated, "POST", "/v1/l402/challenges", `{"amount_sats":21,"resource":"GET /forecast"}`)
	charge, _ := challenge["charge"].(object)
	preimage, err := c.Net.Pay(t.Context(), text(charge, "bolt11"), 0)
	require.NoError(t, err)
	macaroon := text(challenge, "macaroon")
	require.NotEmpty(t, macaroon)
	for _, proof := range []string{hex.EncodeToString(preimage[:]), hex.EncodeToString(make([]byte, 32)), "none"} {
		c.call(t, http.StatusOK, "POST", "/v1/l402/verify",
			fmt.Sprintf(`{"authorization":"L402 %s:%s","resource":"GET /forecast"}`, macaroon, proof))
	}

	return [][]byte{[]byte(macaroon), preimage[:]}
}

// badly makes requests that fail, with a secret wherever one can be sent.
func (c *client) badly(t *testing.T, weak string) (secrets [][]byte) {
	t.Helper()
	const lost = "lnt_sandbox_lostandfoundlostandfoundlostandfound12"
	c.call(t, http.StatusUnauthorized, "GET", "/v1/balance?key="+lost, "", "Authorization", "Bearer "+lost)
	c.call(t, http.StatusUnauthorized, "POST", "/v1/charges", `{}`, "Authorization", "Basic "+lost)
	c.call(t, http.StatusNotFound, "GET", "/v1/nowhere/"+lost, "")
	c.call(t, http.StatusNotFound, "GET", "/v1/charges/"+lost, "")
	c.call(t, http.StatusForbidden, "POST", "/v1/charges", `{"amount_sats":1}`, "Authorization", "Bearer "+weak)
	c.call(t, http.StatusBadRequest, "POST", "/v1/charges", `{"amount_sats":"`+lost+`"}`)
	c.call(t, http.StatusUnprocessableEntity, "POST", "/v1/withdrawals", `{"bolt11":"`+lost+`"}`, "Idempotency-Key", "bad")
	c.call(t, http.StatusUnprocessableEntity, "POST", "/v1/webhooks/endpoints", `{"url":"https://user:`+lost+`@example.com/","events":["*"]}`)

	return [][]byte{[]byte(lost)}
}

// withoutTemporal has a POST fail for what the log tells at length.
func (c *client) withoutTemporal(t *testing.T) {
	t.Helper()
	c.StopTemporal()
	c.call(t, http.StatusServiceUnavailable, "POST", "/v1/charges", `{"amount_sats":7}`, "Idempotency-Key", "again")
	require.NoError(t, c.StartTemporal(t.Context()))
	require.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.APIURL+"/v1/charges",
			strings.NewReader(`{"amount_sats":7}`))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+c.key)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", "again")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()

		return response.StatusCode == http.StatusCreated
	}, time.Minute, time.Second)
}
