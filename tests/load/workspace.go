package load

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
	"google.golang.org/grpc"
)

// expiresInSeconds is longer than any test, also one whose clocks jump by an hour.
const expiresInSeconds = 6 * 3600

// ChargeObject is what we read of a charge.
type ChargeObject struct {
	ID             string
	Status         string
	AmountMsat     int64 `json:"amount_msat"`
	AmountPaidMsat int64 `json:"amount_paid_msat"`
	Bolt11         string
	PaymentHash    string `json:"payment_hash"`
	ExternalID     string `json:"external_id"`
}

// Workspace is everything that one merchant did and saw, over all outages.
type Workspace struct {
	Client
	receiver *receiver

	mu sync.Mutex
	// byKey holds the charge that each Idempotency-Key was answered with. The
	// key is also the charge's external_id.
	byKey map[string]ChargeObject
	// paidAt is when the payer learned that a charge was settled, by id.
	paidAt map[string]time.Time
	// mayExpire are the ids of charges that need not be paid.
	mayExpire map[string]bool
	// checked is when the delays were checked, of all that was paid by then.
	checked time.Time
	// Wrong are answers that no client should get.
	Wrong []string
}

// NewWorkspace uses the workspace that the stack made, with an endpoint for
// events of that type.
func NewWorkspace(t *testing.T, s Target, eventType string) *Workspace {
	t.Helper()
	w := &Workspace{
		Client:   Client{Base: s.APIURL, Key: s.Key, HTTP: http.Client{Timeout: 15 * time.Second, Transport: s.Transport}},
		receiver: newReceiver(t), byKey: map[string]ChargeObject{}, paidAt: map[string]time.Time{},
		mayExpire: map[string]bool{},
	}
	url := w.receiver.url
	if s.Relay != nil {
		url = s.Relay(t, url)
	}
	w.receiver.secret = w.Subscribe(t, url, eventType)

	return w
}

// Subscribe makes an endpoint for events of the types.
func (c *Client) Subscribe(t *testing.T, url string, types ...string) (secret string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"url": url, "events": types})
	require.NoError(t, err)
	got, err := c.Post(t.Context(), "/v1/webhooks/endpoints", uuid.NewString(), body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, got.Status, "%s", got.Body)
	var endpoint struct{ Secret string }
	require.NoError(t, json.Unmarshal(got.Body, &endpoint))

	return endpoint.Secret
}

// Create makes a charge, and asks again with the same key as a client does
// that missed the answer.
func (w *Workspace) Create(ctx context.Context, sats int64) (ChargeObject, error) {
	return w.CreateAs(ctx, uuid.NewString(), sats)
}

// CreateAs is Create with a key of the caller's.
func (w *Workspace) CreateAs(ctx context.Context, key string, sats int64) (ChargeObject, error) {
	return w.create(ctx, key, fmt.Appendf(nil, `{"amount_sats":%d,"external_id":%q,"expires_in":%d}`, sats, key, expiresInSeconds))
}

// CreateExpiring makes a charge that may expire before it is paid.
func (w *Workspace) CreateExpiring(ctx context.Context, sats int64, seconds int) (ChargeObject, error) {
	key := uuid.NewString()
	charge, err := w.create(ctx, key, fmt.Appendf(nil, `{"amount_sats":%d,"external_id":%q,"expires_in":%d}`, sats, key, seconds))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mayExpire[charge.ID] = true

	return charge, err
}

func (w *Workspace) create(ctx context.Context, key string, body []byte) (ChargeObject, error) {
	first, err := w.Post(ctx, "/v1/charges", key, body)
	if err != nil {
		return ChargeObject{}, err
	}
	again, err := w.Post(ctx, "/v1/charges", key, body)
	if err != nil {
		return ChargeObject{}, err
	}
	var charge ChargeObject
	if first.Status != http.StatusCreated || again.Status != first.Status || string(again.Body) != string(first.Body) {
		return charge, fmt.Errorf("key %s: first %d %s, then %d %s", key, first.Status, first.Body, again.Status, again.Body)
	}
	if err := json.Unmarshal(first.Body, &charge); err != nil {
		return charge, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byKey[key] = charge

	return charge, nil
}

// Settle has a charge paid.
func (w *Workspace) Settle(ctx context.Context, p *Payer, charge ChargeObject) error {
	at, err := p.Pay(ctx, charge)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paidAt[charge.ID] = at

	return nil
}

// Note keeps what went wrong for the test to report.
func (w *Workspace) Note(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Wrong = append(w.Wrong, err.Error())
}

// Connect dials a node.
type Connect func() (*grpc.ClientConn, error)

// Target is a stack under load, as its clients and the nodes see it.
type Target struct {
	APIURL, Key, WorkspaceID, DatabaseURL string
	Merchant, Payer                       Connect
	// Relay gives the URL at which the worker reaches a receiver of the test; nil
	// where that is the test's.
	Relay func(t testing.TB, url string) string
	// Transport is the clients'; http.DefaultTransport if nil.
	Transport http.RoundTripper
}
