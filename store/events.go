package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// NewEvent is an event to be written: what happened to which resource.
type NewEvent struct {
	WorkspaceID string
	Type        payments.EventType
	ResourceID  string
	// Object is frozen into the payload as it is now.
	Object any
}

// WriteEvents writes events and the deliveries that they cause, inside the
// transaction that makes them true. The sequence rows stay locked until that
// transaction ends: call it late. The payload is rendered here, once, and
// never again.
func (s *Store) WriteEvents(ctx context.Context, q *db.Queries, events []NewEvent) error {
	if len(events) == 0 {
		return nil
	}
	written, err := s.insertEvents(ctx, q, events)
	if err != nil {
		return err
	}

	return insertDeliveries(ctx, q, written)
}

// WriteTestEvent writes a webhook.test of an endpoint and its one delivery,
// whatever types the endpoint takes.
func (s *Store) WriteTestEvent(ctx context.Context, q *db.Queries, endpoint db.WebhookEndpoint) (db.Delivery, error) {
	written, err := s.insertEvents(ctx, q, []NewEvent{{
		WorkspaceID: endpoint.WorkspaceID, Type: payments.EventWebhookTest, ResourceID: endpoint.ID, Object: s.Endpoint(endpoint),
	}})
	if err != nil {
		return db.Delivery{}, err
	}
	id := payments.NewID(payments.PrefixDelivery)
	err = q.InsertDeliveries(ctx, db.InsertDeliveriesParams{
		Ids: []string{id}, WorkspaceIds: written.WorkspaceIds, EventIds: written.Ids,
		EndpointIds: []string{endpoint.ID}, ResourceIds: written.ResourceIds,
	})
	if err != nil {
		return db.Delivery{}, fmt.Errorf("insert the delivery of a test: %w", err)
	}

	return q.ReadDelivery(ctx, db.ReadDeliveryParams{ID: id, WorkspaceID: endpoint.WorkspaceID})
}

// insertEvents returns what it wrote, in the order of events.
func (s *Store) insertEvents(ctx context.Context, q *db.Queries, events []NewEvent) (db.InsertEventsParams, error) {
	var insert db.InsertEventsParams
	workspaceIDs := make([]string, len(events))
	for i, e := range events {
		workspaceIDs[i] = e.WorkspaceID
	}
	rows, err := q.AllocateEventSequences(ctx, workspaceIDs)
	if err != nil {
		return insert, fmt.Errorf("allocate event sequences: %w", err)
	}
	last := map[string]db.AllocateEventSequencesRow{}
	for _, row := range rows {
		last[row.WorkspaceID] = row
	}
	// Of two events of a workspace the later has the higher number and the
	// higher id: who sorts by either sees the same order. Made here, behind the
	// lock, they also come after those of the transaction that had it before.
	ids := make([]string, len(events))
	for i := range ids {
		ids[i] = payments.NewID(payments.PrefixEvent)
	}
	slices.Sort(ids)
	// The last event of a workspace gets its last number; walking backwards
	// hands the numbers out without counting first.
	for i, e := range slices.Backward(events) {
		row := last[e.WorkspaceID]
		event := payments.Event{
			ID: ids[i], WorkspaceID: e.WorkspaceID,
			Environment: s.Environment, Type: e.Type, Sequence: row.Last, CreatedAt: row.Now, Object: e.Object,
		}
		row.Last--
		last[e.WorkspaceID] = row
		payload, err := json.Marshal(event)
		if err != nil {
			return insert, fmt.Errorf("render %s of %s: %w", e.Type, e.ResourceID, err)
		}
		insert.Ids = append(insert.Ids, event.ID)
		insert.WorkspaceIds = append(insert.WorkspaceIds, e.WorkspaceID)
		insert.Sequences = append(insert.Sequences, event.Sequence)
		insert.Types = append(insert.Types, string(e.Type))
		insert.ResourceIds = append(insert.ResourceIds, e.ResourceID)
		insert.Payloads = append(insert.Payloads, payload)
	}
	if err := q.InsertEvents(ctx, insert); err != nil {
		return insert, fmt.Errorf("insert events: %w", err)
	}

	return insert, nil
}

// insertDeliveries gives each enabled endpoint that wants an event a delivery.
func insertDeliveries(ctx context.Context, q *db.Queries, events db.InsertEventsParams) error {
	endpoints, err := q.EnabledEndpoints(ctx, slices.Compact(slices.Sorted(slices.Values(events.WorkspaceIds))))
	if err != nil {
		return fmt.Errorf("read endpoints: %w", err)
	}
	var insert db.InsertDeliveriesParams
	for i, eventID := range events.Ids {
		for _, endpoint := range endpoints {
			if endpoint.WorkspaceID != events.WorkspaceIds[i] || !wants(endpoint.Events, events.Types[i]) {
				continue
			}
			insert.Ids = append(insert.Ids, payments.NewID(payments.PrefixDelivery))
			insert.WorkspaceIds = append(insert.WorkspaceIds, endpoint.WorkspaceID)
			insert.EventIds = append(insert.EventIds, eventID)
			insert.EndpointIds = append(insert.EndpointIds, endpoint.ID)
			insert.ResourceIds = append(insert.ResourceIds, events.ResourceIds[i])
		}
	}
	if len(insert.Ids) == 0 {
		return nil
	}
	if err := q.InsertDeliveries(ctx, insert); err != nil {
		return fmt.Errorf("insert deliveries: %w", err)
	}

	return nil
}

func wants(subscribed []string, eventType string) bool {
	return slices.Contains(subscribed, "*") || slices.Contains(subscribed, eventType)
}
