package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/workflows"
)

// recordSuccess completes the delivery. That another run completed it before
// changes nothing.
func (d *Deliveries) recordSuccess(ctx context.Context, deliveryID string, r webhooks.Result) (workflows.AttemptResult, error) {
	_, err := d.Store.RecordDeliverySuccess(ctx, db.RecordDeliverySuccessParams{
		ID: deliveryID, StatusCode: int32(r.StatusCode), DurationMs: r.Duration.Milliseconds(), Response: stored(r.Response),
	})
	if err != nil {
		return workflows.AttemptResult{}, fmt.Errorf("record delivery %s: %w", deliveryID, err)
	}

	return workflows.AttemptResult{Done: true, Note: fmt.Sprintf("delivered, answered %d", r.StatusCode)}, nil
}

// recordFailure records a failed attempt with what follows from it: the next
// attempt, the end of the delivery, or of the endpoint.
func (d *Deliveries) recordFailure(
	ctx context.Context, deliveryID string, row db.LoadDeliveryRow, r webhooks.Result,
) (workflows.AttemptResult, error) {
	made := int(row.Attempts) + 1
	nextIn, more := webhooks.NextDelay(made, d.jitter, r.RetryAfter)
	final := !more || r.Gone()
	params := db.RecordDeliveryFailureParams{
		ID: deliveryID, Attempts: row.Attempts, StatusCode: statusCode(r), DurationMs: r.Duration.Milliseconds(),
		Error: r.Err, Response: stored(r.Response), Final: final, NextInMs: nextIn.Milliseconds(),
	}
	var recorded int64
	var disabled disabling
	err := d.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		var err error
		if recorded, err = q.RecordDeliveryFailure(ctx, params); err != nil || recorded == 0 {
			return err
		}
		disabled, err = d.disableIfFailing(ctx, q, row.EndpointID, r.Gone())
		if err != nil || !disabled.done || final {
			return err
		}
		_, err = q.FailDelivery(ctx, db.FailDeliveryParams{ID: deliveryID, Attempts: int32(made)})

		return err
	})
	if err != nil {
		return workflows.AttemptResult{}, fmt.Errorf("record delivery %s: %w", deliveryID, err)
	}
	if recorded == 0 {
		return d.lookAgain(ctx, deliveryID)
	}
	d.announce(ctx, row.EndpointID, disabled)
	result := workflows.AttemptResult{
		Done: final || disabled.done, Note: fmt.Sprintf("attempt %d failed: %s", made, r.Err),
		Failed: true, WorkspaceID: row.WorkspaceID,
	}
	if !result.Done {
		result.NextIn = nextIn
	}

	return result, nil
}

// disabling says whether an endpoint was disabled and which deliveries tell it.
type disabling struct {
	done       bool
	gone       bool
	deliveries []string
}

// disableIfFailing disables an endpoint that answered 410 or has failed for
// five days, and writes the event that tells the workspace's other endpoints.
func (d *Deliveries) disableIfFailing(ctx context.Context, q *db.Queries, endpointID string, gone bool) (disabling, error) {
	endpoint, err := q.DisableFailingEndpoint(ctx, db.DisableFailingEndpointParams{ID: endpointID, Gone: gone})
	if errors.Is(err, pgx.ErrNoRows) {
		return disabling{}, nil
	}
	if err != nil {
		return disabling{}, fmt.Errorf("disable endpoint %s: %w", endpointID, err)
	}
	event := store.NewEvent{
		WorkspaceID: endpoint.WorkspaceID, Type: payments.EventWebhookEndpointDisabled, ResourceID: endpointID,
		Object: d.Store.Endpoint(endpoint),
	}
	if err := d.Store.WriteEvents(ctx, q, []store.NewEvent{event}); err != nil {
		return disabling{}, err
	}
	deliveries, err := q.UntriedDeliveries(ctx, endpointID)
	if err != nil {
		return disabling{}, fmt.Errorf("deliveries of %s: %w", endpointID, err)
	}

	return disabling{done: true, gone: gone, deliveries: deliveries}, nil
}

// announce starts the deliveries that tell of a disabled endpoint: no other
// workflow does. The sweeper finds what fails here.
func (d *Deliveries) announce(ctx context.Context, endpointID string, dis disabling) {
	if !dis.done {
		return
	}
	d.Metrics.endpointDisabled()
	d.log().WarnContext(ctx, "webhook endpoint disabled", "endpoint", endpointID, "gone", dis.gone)
	if d.Starter == nil {
		return
	}
	for _, id := range dis.deliveries {
		if err := d.Starter.Deliver(ctx, id); err != nil {
			d.log().WarnContext(ctx, "delivery not started, left to the sweeper", "delivery", id, "error", err)
		}
	}
}

func statusCode(r webhooks.Result) *int32 {
	if r.StatusCode == 0 {
		return nil
	}
	code := int32(r.StatusCode)

	return &code
}

// stored makes an absent answer an empty one: the column takes no null.
func stored(response []byte) []byte {
	if response == nil {
		return []byte{}
	}

	return response
}
