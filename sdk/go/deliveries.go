package lntpay

import (
	"context"
	"iter"
	"time"
)

// Deliveries are how the events came to the endpoints. Reading needs the scope
// webhooks:read, Redeliver webhooks:write.
type Deliveries struct{ c *Client }

// DeliveryStatus is where a delivery stands.
type DeliveryStatus string

// The statuses of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliverySucceeded DeliveryStatus = "succeeded"
	DeliveryFailed    DeliveryStatus = "failed"
)

// Delivery is how an event came to an endpoint.
type Delivery struct {
	ID          string            `json:"id"`
	Environment Environment       `json:"environment"`
	EventID     string            `json:"event_id"`
	EndpointID  string            `json:"endpoint_id"`
	Status      DeliveryStatus    `json:"status"`
	Attempts    []DeliveryAttempt `json:"attempts"`
	// NextAttemptAt is zero when there is none.
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
	CreatedAt     time.Time `json:"created_at"`
}

// DeliveryAttempt is one request to an endpoint.
type DeliveryAttempt struct {
	At time.Time `json:"at"`
	// StatusCode is 0 when no answer came.
	StatusCode int   `json:"status_code"`
	DurationMs int64 `json:"duration_ms"`
	// Error says in words what went wrong, and is empty after a success.
	Error string `json:"error"`
	// Response is the first 2 KiB of the answer's body.
	Response string `json:"response"`
}

// DeliveryFilter selects deliveries; zero fields select all.
type DeliveryFilter struct {
	EventID    string
	EndpointID string
	Status     DeliveryStatus
	// PageSize is how many are fetched at a time: 1 to 100, 100 if zero.
	PageSize int
}

const deliveriesPath = "/v1/webhooks/deliveries"

// Get is a delivery as it is.
func (s *Deliveries) Get(ctx context.Context, id string) (*Delivery, error) {
	return call[Delivery](ctx, s.c, get(deliveriesPath, nil).on(id, ""))
}

// List is the deliveries, the newest first.
func (s *Deliveries) List(ctx context.Context, filter DeliveryFilter) iter.Seq2[*Delivery, error] {
	return list[Delivery](ctx, s.c, deliveriesPath, query(
		"event_id", filter.EventID, "endpoint_id", filter.EndpointID, "status", string(filter.Status),
	), filter.PageSize)
}

// Redeliver sends the same event to the same endpoint again, now, whatever
// became of the delivery.
func (s *Deliveries) Redeliver(ctx context.Context, id string, options ...WriteOption) (*Delivery, error) {
	return call[Delivery](ctx, s.c, post(deliveriesPath, nil, options).on(id, "/redeliver"))
}
