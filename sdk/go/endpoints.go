package lntpay

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// WebhookEndpoints are where events are delivered to. Reading needs the scope
// webhooks:read, all else webhooks:write.
type WebhookEndpoints struct{ c *Client }

// EndpointStatus tells whether an endpoint gets deliveries.
type EndpointStatus string

// The statuses of an endpoint.
const (
	EndpointEnabled  EndpointStatus = "enabled"
	EndpointDisabled EndpointStatus = "disabled"
)

// WebhookEndpoint is an address that events are delivered to.
type WebhookEndpoint struct {
	ID          string      `json:"id"`
	Environment Environment `json:"environment"`
	URL         string      `json:"url"`
	// Events are the types that it gets; [AllEvents] stands for all.
	Events      []EventType    `json:"events"`
	Status      EndpointStatus `json:"status"`
	Description string         `json:"description"`
	// Secret signs the deliveries, see [Verify]. Only Create and RotateSecret
	// have it.
	Secret    string    `json:"secret,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// WebhookEndpointParams describe a new endpoint.
type WebhookEndpointParams struct {
	URL string `json:"url"`
	// Events are the types that it gets; [AllEvents] stands for all.
	Events      []EventType `json:"events"`
	Description string      `json:"description,omitempty"`
}

// WebhookEndpointChange changes an endpoint; what is empty or nil stays.
type WebhookEndpointChange struct {
	URL    string         `json:"url,omitempty"`
	Events []EventType    `json:"events,omitempty"`
	Status EndpointStatus `json:"status,omitempty"`
	// Description may be set to nothing: new("").
	Description *string `json:"description,omitempty"`
}

const endpointsPath = "/v1/webhooks/endpoints"

// Create makes an endpoint and shows its secret, this once: see [ErrSecretLost].
func (s *WebhookEndpoints) Create(
	ctx context.Context, params WebhookEndpointParams, options ...WriteOption,
) (*WebhookEndpoint, error) {
	return withSecret(call[WebhookEndpoint](ctx, s.c, post(endpointsPath, params, options)))
}

// Get is an endpoint as it is.
func (s *WebhookEndpoints) Get(ctx context.Context, id string) (*WebhookEndpoint, error) {
	return call[WebhookEndpoint](ctx, s.c, get(endpointsPath, nil).on(id, ""))
}

// List is the endpoints, the newest first.
func (s *WebhookEndpoints) List(ctx context.Context) iter.Seq2[*WebhookEndpoint, error] {
	return list[WebhookEndpoint](ctx, s.c, endpointsPath, query(), pageSize)
}

// Update changes an endpoint.
func (s *WebhookEndpoints) Update(ctx context.Context, id string, change WebhookEndpointChange) (*WebhookEndpoint, error) {
	return call[WebhookEndpoint](ctx, s.c, request{method: http.MethodPatch, path: endpointsPath, body: change}.on(id, ""))
}

// Delete ends an endpoint.
func (s *WebhookEndpoints) Delete(ctx context.Context, id string) error {
	return s.c.do(ctx, request{method: http.MethodDelete, path: endpointsPath}.on(id, ""), nil)
}

// RotateSecret makes a new secret and shows it, this once: see [ErrSecretLost].
// The old one stays valid for the overlap, a week at most: give [Verify] both
// until it is over.
func (s *WebhookEndpoints) RotateSecret(
	ctx context.Context, id string, overlap time.Duration, options ...WriteOption,
) (*WebhookEndpoint, error) {
	body := struct {
		OverlapSeconds int64 `json:"overlap_seconds"`
	}{wholeSeconds(overlap)}

	return withSecret(call[WebhookEndpoint](ctx, s.c, post(endpointsPath, body, options).on(id, "/rotate-secret")))
}

// Test delivers a webhook.test to the endpoint. The delivery tells how it goes.
func (s *WebhookEndpoints) Test(ctx context.Context, id string, options ...WriteOption) (*Delivery, error) {
	return call[Delivery](ctx, s.c, post(endpointsPath, nil, options).on(id, "/test"))
}

func withSecret(endpoint *WebhookEndpoint, err error) (*WebhookEndpoint, error) {
	if err == nil && endpoint.Secret == "" {
		return endpoint, ErrSecretLost
	}

	return endpoint, err
}
