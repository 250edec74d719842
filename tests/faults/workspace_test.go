package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// chargeObject is what we read of a charge.
type chargeObject struct {
	ID             string
	Status         string
	AmountMsat     int64 `json:"amount_msat"`
	AmountPaidMsat int64 `json:"amount_paid_msat"`
	Bolt11         string
	PaymentHash    string `json:"payment_hash"`
	ExternalID     string `json:"external_id"`
}

// workspace is everything that one merchant did and saw, over all outages.
type workspace struct {
	client
	receiver *receiver

	mu sync.Mutex
	// byKey holds the charge that each Idempotency-Key was answered with. The
	// key is also the charge's external_id.
	byKey map[string]chargeObject
	// paidAt is when the payer learned that a charge was settled, by id.
	paidAt map[string]time.Time
	// checked is when the delays were checked, of all that was paid by then.
	checked time.Time
	// wrong are answers that no client should get.
	wrong []string
}

// newWorkspace uses the workspace that the stack made, with an endpoint for
// events of that type.
func newWorkspace(t *testing.T, s *stack, eventType string) *workspace {
	t.Helper()
	w := &workspace{
		client:   client{base: s.dev.APIURL, key: s.dev.APIKeys.Sandbox, http: http.Client{Timeout: 15 * time.Second}},
		receiver: newReceiver(t), byKey: map[string]chargeObject{}, paidAt: map[string]time.Time{},
	}
	w.receiver.secret = w.subscribe(t, w.receiver.url, eventType)

	return w
}

// subscribe makes an endpoint for events of the types.
func (c *client) subscribe(t *testing.T, url string, types ...string) (secret string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"url": url, "events": types})
	require.NoError(t, err)
	got, err := c.post(t.Context(), "/v1/webhooks/endpoints", uuid.NewString(), body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, got.status, "%s", got.body)
	var endpoint struct{ Secret string }
	require.NoError(t, json.Unmarshal(got.body, &endpoint))

	return endpoint.Secret
}

// create makes a charge, and asks again with the same key as a client does
// that missed the answer.
func (w *workspace) create(ctx context.Context, sats int64) (chargeObject, error) {
	return w.createAs(ctx, uuid.NewString(), sats)
}

func (w *workspace) createAs(ctx context.Context, key string, sats int64) (chargeObject, error) {
	body := fmt.Appendf(nil, `{"amount_sats":%d,"external_id":%q}`, sats, key)
	first, err := w.post(ctx, "/v1/charges", key, body)
	if err != nil {
		return chargeObject{}, err
	}
	again, err := w.post(ctx, "/v1/charges", key, body)
	if err != nil {
		return chargeObject{}, err
	}
	var charge chargeObject
	if first.status != http.StatusCreated || again.status != first.status || string(again.body) != string(first.body) {
		return charge, fmt.Errorf("key %s: first %d %s, then %d %s", key, first.status, first.body, again.status, again.body)
	}
	if err := json.Unmarshal(first.body, &charge); err != nil {
		return charge, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byKey[key] = charge

	return charge, nil
}

// settle has a charge paid.
func (w *workspace) settle(ctx context.Context, p *payer, charge chargeObject) error {
	at, err := p.pay(ctx, charge)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paidAt[charge.ID] = at

	return nil
}

// note keeps what went wrong for the test to report.
func (w *workspace) note(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, err.Error())
}
