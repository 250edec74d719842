package quickstarts_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/webhooks"
)

// TestWebhook: what is behind the paywall comes out when the charge is paid,
// once, and for nothing else.
func TestWebhook(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(*testing.T) []string{
		"js": func(t *testing.T) []string { t.Helper(); return node(t, "webhook-js/app.js") },
		"go": func(t *testing.T) []string { t.Helper(); return built(t, "webhook-go") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t)
			s := m.openShop(t, command(t))
			id, bolt11 := s.order(t)
			s.refusesForgeries(t, id)
			require.Equal(t, http.StatusPaymentRequired, s.status(t, id), "not paid yet")
			require.Equal(t, http.StatusNotFound, s.status(t, "ch_00000000000000000000000000"))

			m.pay(t, bolt11)
			status, answer := s.unlocked(t, id)
			require.Equal(t, http.StatusOK, status, answer)
			require.Equal(t, map[string]any{"answer": 42.0}, answer)
			require.Equal(t, http.StatusGone, s.status(t, id), "one charge, one answer")
			s.redeliver(t, m, id)
			require.Equal(t, http.StatusGone, s.status(t, id), "and no other for a repeat of the event")
			other, _ := s.order(t)
			require.NotEqual(t, id, other)
			require.Equal(t, http.StatusPaymentRequired, s.status(t, other))
		})
	}
}

// shop is an application that sells, with its endpoint.
type shop struct {
	url, secret string
}

// openShop registers the endpoint first, whose secret the application needs.
func (m *merchant) openShop(t *testing.T, command []string) *shop {
	t.Helper()
	port, err := freeport.Take(1)
	require.NoError(t, err)
	s := &shop{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	endpoint, err := m.client.WebhookEndpoints.Create(t.Context(), lntpay.WebhookEndpointParams{
		URL: s.url + "/webhooks/lntpay", Events: []lntpay.EventType{lntpay.EventChargePaid},
	})
	require.NoError(t, err)
	s.secret = endpoint.Secret
	a := m.run(t, command, fmt.Sprintf("PORT=%d", port), "LNTPAY_WEBHOOK_SECRET="+s.secret)
	require.Equal(t, s.url, a.says(t, "listening on "))

	return s
}

// get asks for what is sold.
func (s *shop) get(t *testing.T, id string) (int, map[string]any) {
	t.Helper()
	path := "/api/premium"
	if id != "" {
		path += "?charge_id=" + id
	}
	status, body := s.send(t, http.MethodGet, path, "", "")
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)

	return status, answer
}

func (s *shop) status(t *testing.T, id string) int {
	t.Helper()
	status, _ := s.get(t, id)

	return status
}

func (s *shop) send(t *testing.T, method, path, body, signature string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if signature != "" {
		request.Header.Set("X-Lntpay-Signature", signature)
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return response.StatusCode, string(text)
}

// order asks for it without a charge, and gets one.
func (s *shop) order(t *testing.T) (id, bolt11 string) {
	t.Helper()
	status, answer := s.get(t, "")
	require.Equal(t, http.StatusPaymentRequired, status)
	id, _ = answer["charge_id"].(string)
	bolt11, _ = answer["bolt11"].(string)
	require.NotEmpty(t, answer["expires_at"])

	return id, bolt11
}

// unlocked asks until the webhook has come.
func (s *shop) unlocked(t *testing.T, id string) (int, map[string]any) {
	t.Helper()
	tick, limit := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		status, answer := s.get(t, id)
		if status != http.StatusPaymentRequired {
			return status, answer
		}
		select {
		case <-tick.C:
		case <-limit:
			require.Fail(t, "it is never unlocked")
		}
	}
}

// refusesForgeries sends what a cheater would.
func (s *shop) refusesForgeries(t *testing.T, id string) {
	t.Helper()
	paid := `{"id":"evt_1","type":"charge.paid","sequence":1,"data":{"object":{"id":"` + id + `","object":"charge","status":"paid"}}}`
	sign := func(secret, body string) string {
		header, err := webhooks.Headers(webhooks.Secrets{Current: secret}, "evt_1", time.Now(), []byte(body))
		require.NoError(t, err)

		return header.Get("x-lntpay-signature")
	}
	status, text := s.send(t, http.MethodPost, "/webhooks/lntpay", paid, "")
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "Missing x-lntpay-signature header", strings.TrimSpace(text))
	for name, signature := range map[string]string{
		"nonsense": "nonsense", "another secret": sign(webhooks.NewSecret(), paid), "another body": sign(s.secret, paid+" "),
	} {
		status, text := s.send(t, http.MethodPost, "/webhooks/lntpay", paid, signature)
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", name, text)
	}
	large := strings.Repeat(" ", 2<<20)
	status, _ = s.send(t, http.MethodPost, "/webhooks/lntpay", large, sign(s.secret, large))
	require.GreaterOrEqual(t, status, http.StatusBadRequest, "a body without an end")
}

// redeliver asks for the charge's event once more, and waits until it has
// come.
func (s *shop) redeliver(t *testing.T, m *merchant, id string) {
	t.Helper()
	for delivery, err := range m.client.Deliveries.List(t.Context(), lntpay.DeliveryFilter{}) {
		require.NoError(t, err)
		event, err := m.client.Events.Get(t.Context(), delivery.EventID)
		require.NoError(t, err)
		charge, err := event.Charge()
		require.NoError(t, err)
		if charge.ID != id {
			continue
		}
		attempts := func(n int) {
			require.Eventually(t, func() bool {
				again, err := m.client.Deliveries.Get(t.Context(), delivery.ID)

				return err == nil && len(again.Attempts) == n
			}, patience, 50*time.Millisecond)
		}
		// The application may have it before it is written that it has; until then
		// a redelivery is the attempt that runs.
		attempts(1)
		_, err = m.client.Deliveries.Redeliver(t.Context(), delivery.ID)
		require.NoError(t, err)
		attempts(2)

		return
	}
	require.Fail(t, "there is no delivery")
}
