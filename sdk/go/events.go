package lntpay

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// Events are what happened, in order. They need the scope webhooks:read.
type Events struct{ c *Client }

// EventType says what happened. More types may come; one that is not known here
// is passed on as it is.
type EventType string

// The types of events, and [AllEvents] for an endpoint that wants them all.
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
	AllEvents                    EventType = "*"
)

// Event is what happened, with the object that it happened to as it was then.
// The same event may come twice by webhook, with the same ID.
type Event struct {
	ID          string      `json:"id"`
	Type        EventType   `json:"type"`
	Environment Environment `json:"environment"`
	// Sequence counts the events of the workspace, from 1, without a gap.
	Sequence  int64     `json:"sequence"`
	CreatedAt time.Time `json:"created_at"`
	Data      EventData `json:"data"`
}

// EventData holds an event's object.
type EventData struct {
	// Object is its JSON, of whatever kind it is.
	Object json.RawMessage `json:"object"`
}

// Charge is the charge of a charge.… event.
func (e *Event) Charge() (*Charge, error) { return object[Charge](e, "charge") }

// Withdrawal is the withdrawal of a withdrawal.… event, without its preimage.
func (e *Event) Withdrawal() (*Withdrawal, error) { return object[Withdrawal](e, "withdrawal") }

// WebhookEndpoint is the endpoint of a webhook.… event.
func (e *Event) WebhookEndpoint() (*WebhookEndpoint, error) {
	return object[WebhookEndpoint](e, "webhook_endpoint")
}

// Payouts is the freeze, or its end, of a payouts.… event.
func (e *Event) Payouts() (*Payouts, error) { return object[Payouts](e, "payouts") }

// Payouts is a freeze of withdrawals, or its end. Freezes of several scopes may
// hold at once; withdrawals go on when none is left.
type Payouts struct {
	WorkspaceID string `json:"workspace_id"`
	// Scope is workspace, node or all.
	Scope  string `json:"scope"`
	Frozen bool   `json:"frozen"`
	// Reason is operator, or reconciliation: books and node do not agree.
	Reason string `json:"reason"`
}

func object[T any](e *Event, kind string) (*T, error) {
	var is struct {
		Object string `json:"object"`
	}
	if err := json.Unmarshal(e.Data.Object, &is); err != nil {
		return nil, fmt.Errorf("lntpay: the object of event %s: %w", e.ID, err)
	}
	if is.Object != kind {
		return nil, fmt.Errorf("lntpay: the object of event %s, a %s, is a %q and no %s", e.ID, e.Type, is.Object, kind)
	}
	of := new(T)
	if err := json.Unmarshal(e.Data.Object, of); err != nil {
		return nil, fmt.Errorf("lntpay: the %s of event %s: %w", kind, e.ID, err)
	}

	return of, nil
}

// EventFilter selects events; zero fields select all.
type EventFilter struct {
	Type EventType
	// PageSize is how many are fetched at a time: 1 to 100, 100 if zero.
	PageSize int
}

const eventsPath = "/v1/events"

// Get is an event.
func (s *Events) Get(ctx context.Context, id string) (*Event, error) {
	return call[Event](ctx, s.c, get(eventsPath, nil).on(id, ""))
}

// List is the events, the newest first.
func (s *Events) List(ctx context.Context, filter EventFilter) iter.Seq2[*Event, error] {
	return list[Event](ctx, s.c, eventsPath, query("type", string(filter.Type)), filter.PageSize)
}
