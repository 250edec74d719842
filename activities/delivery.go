package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// dueTolerance is how much too early an attempt may be: the timers of
	// Temporal and the clock of Postgres differ a little, and a look that
	// finds a delivery due in some milliseconds would cost another round.
	dueTolerance = time.Second
	// recordTimeout bounds the recording of an attempt, which goes on when
	// the activity's context has ended.
	recordTimeout = 5 * time.Second

	statusPending = "pending"
)

// DeliveryStarter starts the workflow of a delivery or nudges the running one.
// workflows.Starter is one.
type DeliveryStarter interface {
	Deliver(ctx context.Context, deliveryID string) error
}

// Deliveries holds the activity that delivers events to endpoints. The zero
// values of the optional fields are fit for production.
type Deliveries struct {
	Store  *store.Store
	Sender *webhooks.Sender
	Sealer *webhooks.Sealer
	// Starter starts the deliveries of webhook.endpoint_disabled. When it is
	// nil or fails the sweeper does, a little later.
	Starter DeliveryStarter
	// SlotsPerEndpoint bounds the attempts at one endpoint that this process
	// makes at once, so that a slow endpoint never delays another.
	SlotsPerEndpoint int
	// Jitter returns a number in [0, 1); random when nil.
	Jitter func() float64
	// Log is slog's default when nil.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *DeliveryMetrics

	slots endpointSlots
}

// AttemptDelivery makes at most one attempt at a delivery and records it. It
// judges by the row: nothing is sent when the delivery is done or not yet due.
// The attempt is recorded after it was made and no transaction is open while
// it is made, so that a crash between sends the same event, with the same id,
// again; so may two runs at the same time, of which one failure counts, and a
// success in any case.
func (d *Deliveries) AttemptDelivery(ctx context.Context, in workflows.DeliveryInput) (workflows.AttemptResult, error) {
	loaded := time.Now()
	row, err := d.load(ctx, in.DeliveryID)
	if err != nil {
		return workflows.AttemptResult{}, err
	}
	telemetry.Set(ctx, telemetry.Resource(in.DeliveryID), slog.String("workspace_id", row.WorkspaceID),
		slog.String("event_id", row.EventID), slog.String("endpoint_id", row.EndpointID))
	if row.Status != statusPending || dueIn(row) > dueTolerance && !in.Now {
		return found(row), nil
	}
	if !row.EndpointOpen {
		return d.giveUp(ctx, in.DeliveryID, row)
	}
	done, wait := d.slots.take(row.EndpointID, d.slotsPerEndpoint())
	if done == nil {
		return d.putOff(ctx, in.DeliveryID, row, wait)
	}
	defer done()
	request, err := d.request(row)
	if err != nil {
		return workflows.AttemptResult{}, err
	}
	result, err := d.Sender.Send(ctx, request)
	if err != nil {
		return workflows.AttemptResult{}, fmt.Errorf("deliver %s: %w", in.DeliveryID, err)
	}
	d.Metrics.attempt(result, time.Duration(row.EventAgeS*float64(time.Second))+time.Since(loaded), row.Attempts)
	// What has happened is recorded, whatever became of the activity meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if result.OK() {
		return d.recordSuccess(ctx, in.DeliveryID, result)
	}

	return d.recordFailure(ctx, in.DeliveryID, row, result)
}

func (d *Deliveries) load(ctx context.Context, deliveryID string) (db.LoadDeliveryRow, error) {
	row, err := d.Store.LoadDelivery(ctx, deliveryID)
	if errors.Is(err, pgx.ErrNoRows) {
		// Only the transaction of an event creates a delivery (rule R1).
		return row, temporal.NewNonRetryableApplicationError("no delivery "+deliveryID, workflows.ErrTypeRowMissing, nil)
	}
	if err != nil {
		return row, fmt.Errorf("load delivery %s: %w", deliveryID, err)
	}

	return row, nil
}

func dueIn(row db.LoadDeliveryRow) time.Duration {
	return time.Duration(row.DueInS * float64(time.Second))
}

// found is the result of an attempt that was not made.
func found(row db.LoadDeliveryRow) workflows.AttemptResult {
	if row.Status != statusPending {
		return workflows.AttemptResult{Done: true, Note: fmt.Sprintf("%s after %d attempts", row.Status, row.Attempts)}
	}

	return workflows.AttemptResult{NextIn: dueIn(row), Note: fmt.Sprintf("%d attempts made, not due yet", row.Attempts)}
}

// request opens the endpoint's secrets; they live no longer than the attempt.
func (d *Deliveries) request(row db.LoadDeliveryRow) (webhooks.Request, error) {
	r := webhooks.Request{EndpointID: row.EndpointID, URL: row.Url, EventID: row.EventID, Body: row.Payload}
	var err error
	if r.Secrets.Current, err = d.Sealer.Open(row.EndpointID, row.SecretSealed); err != nil {
		return r, fmt.Errorf("secret of %s: %w", row.EndpointID, err)
	}
	if len(row.PreviousSecretSealed) == 0 {
		return r, nil
	}
	if r.Secrets.Previous, err = d.Sealer.Open(row.EndpointID, row.PreviousSecretSealed); err != nil {
		return r, fmt.Errorf("previous secret of %s: %w", row.EndpointID, err)
	}

	return r, nil
}

// giveUp fails a delivery whose endpoint takes no more.
func (d *Deliveries) giveUp(ctx context.Context, deliveryID string, row db.LoadDeliveryRow) (workflows.AttemptResult, error) {
	failed, err := d.Store.FailDelivery(ctx, db.FailDeliveryParams{ID: deliveryID, Attempts: row.Attempts})
	if err != nil {
		return workflows.AttemptResult{}, fmt.Errorf("fail delivery %s: %w", deliveryID, err)
	}
	if failed == 0 {
		return d.lookAgain(ctx, deliveryID)
	}

	return workflows.AttemptResult{Done: true, Note: "failed: the endpoint is disabled or deleted"}, nil
}

// CancelDelivery fails a delivery that an operator has cancelled. An attempt that
// is under way may still succeed, and then it has.
func (d *Deliveries) CancelDelivery(ctx context.Context, in workflows.DeliveryInput) error {
	canceled, err := d.Store.CancelDelivery(ctx, in.DeliveryID)
	if err != nil {
		return fmt.Errorf("cancel delivery %s: %w", in.DeliveryID, err)
	}
	d.log().InfoContext(ctx, "delivery cancelled", "delivery", in.DeliveryID, "was_pending", canceled > 0)

	return nil
}

// putOff lets a delivery wait for a slot of its endpoint. The row says so: the
// sweeper, and who nudges, would bring it back before.
func (d *Deliveries) putOff(
	ctx context.Context, deliveryID string, row db.LoadDeliveryRow, wait time.Duration,
) (workflows.AttemptResult, error) {
	put, err := d.Store.PutOffDelivery(ctx, db.PutOffDeliveryParams{
		ID: deliveryID, Attempts: row.Attempts, NextInMs: wait.Milliseconds(),
	})
	if err != nil {
		return workflows.AttemptResult{}, fmt.Errorf("put off delivery %s: %w", deliveryID, err)
	}
	if put == 0 {
		return d.lookAgain(ctx, deliveryID)
	}
	d.Metrics.attemptPutOff()

	return workflows.AttemptResult{NextIn: wait, Note: "the endpoint is busy with other deliveries"}, nil
}

// lookAgain is for who lost a compare-and-swap: the row says what is next.
func (d *Deliveries) lookAgain(ctx context.Context, deliveryID string) (workflows.AttemptResult, error) {
	row, err := d.load(ctx, deliveryID)
	if err != nil {
		return workflows.AttemptResult{}, err
	}

	return found(row), nil
}

func (d *Deliveries) slotsPerEndpoint() int {
	if d.SlotsPerEndpoint > 0 {
		return d.SlotsPerEndpoint
	}

	return defaultSlots
}

func (d *Deliveries) jitter() float64 {
	if d.Jitter != nil {
		return d.Jitter()
	}

	return rand.Float64()
}

func (d *Deliveries) log() *slog.Logger {
	if d.Log != nil {
		return d.Log
	}

	return slog.Default()
}
