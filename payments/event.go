package payments

import (
	"encoding/json"
	"time"
)

// EventType names what happened.
type EventType string

// The event types that exist today.
const (
	EventChargePaid              EventType = "charge.paid"
	EventChargeExpired           EventType = "charge.expired"
	EventChargeCanceled          EventType = "charge.canceled"
	EventWithdrawalSucceeded     EventType = "withdrawal.succeeded"
	EventWithdrawalFailed        EventType = "withdrawal.failed"
	EventPayoutsFrozen           EventType = "payouts.frozen"
	EventPayoutsThawed           EventType = "payouts.thawed"
	EventWebhookTest             EventType = "webhook.test"
	EventWebhookEndpointDisabled EventType = "webhook.endpoint_disabled"
)

// EventTypes are all types that an endpoint may subscribe to.
func EventTypes() []EventType {
	return []EventType{
		EventChargePaid, EventChargeExpired, EventChargeCanceled,
		EventWithdrawalSucceeded, EventWithdrawalFailed,
		EventPayoutsFrozen, EventPayoutsThawed,
		EventWebhookTest, EventWebhookEndpointDisabled,
	}
}

// Event is a fact, frozen in the transaction that made it true. Sequence is
// gap-free per workspace.
type Event struct {
	ID          string
	WorkspaceID string
	Environment Environment
	Type        EventType
	Sequence    int64
	CreatedAt   time.Time
	// Object is the resource as it was when the event was written.
	Object any
}

// MarshalJSON writes the public event object: the exact bytes that are stored,
// delivered and signed.
func (e Event) MarshalJSON() ([]byte, error) {
	type data struct {
		Object any `json:"object"`
	}

	return json.Marshal(struct {
		ID          string      `json:"id"`
		Object      string      `json:"object"`
		Type        EventType   `json:"type"`
		Environment Environment `json:"environment"`
		Sequence    int64       `json:"sequence"`
		CreatedAt   time.Time   `json:"created_at"`
		Data        data        `json:"data"`
	}{e.ID, "event", e.Type, e.Environment, e.Sequence, e.CreatedAt.UTC(), data{e.Object}})
}
