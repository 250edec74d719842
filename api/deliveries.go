package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// startTimeout bounds the start of a delivery's workflow: the client need not
// wait for it, the sweeper finds what was not started.
const startTimeout = 2 * time.Second

// errEndpointDisabled refuses what could only end as a failed delivery.
var errEndpointDisabled = payments.NewProblem(payments.CodeEndpointDisabled,
	"The endpoint is disabled or deleted and takes no deliveries. Enable it first.")

// deliveryObject is the public shape of a delivery.
type deliveryObject struct {
	ID            string               `json:"id"`
	Object        string               `json:"object"`
	Environment   payments.Environment `json:"environment"`
	EventID       string               `json:"event_id"`
	EndpointID    string               `json:"endpoint_id"`
	Status        string               `json:"status"`
	Attempts      []attemptObject      `json:"attempts"`
	NextAttemptAt *time.Time           `json:"next_attempt_at"`
	CreatedAt     time.Time            `json:"created_at"`
}

// attemptObject is one attempt. StatusCode and Response are null when no answer
// came; Error is null when it succeeded.
type attemptObject struct {
	At         time.Time `json:"at"`
	StatusCode *int32    `json:"status_code"`
	DurationMS int64     `json:"duration_ms"`
	Error      *string   `json:"error"`
	Response   *string   `json:"response"`
}

func attemptOf(row db.DeliveryAttempt) attemptObject {
	attempt := attemptObject{
		At: row.At.UTC(), StatusCode: row.StatusCode, DurationMS: row.DurationMs, Error: row.Error,
	}
	if row.StatusCode != nil {
		// What a stranger answered may be anything, and is cut off anywhere.
		response := strings.ToValidUTF8(string(row.Response), "\uFFFD")
		attempt.Response = &response
	}

	return attempt
}

func (c *call) deliveryOf(row db.Delivery, attempts []db.DeliveryAttempt) deliveryObject {
	object := deliveryObject{
		ID: row.ID, Object: "delivery", Environment: c.env.name, EventID: row.EventID, EndpointID: row.EndpointID,
		Status: row.Status, Attempts: make([]attemptObject, 0, len(attempts)), CreatedAt: row.CreatedAt.UTC(),
	}
	for _, attempt := range attempts {
		object.Attempts = append(object.Attempts, attemptOf(attempt))
	}
	if row.NextAttemptAt != nil {
		next := row.NextAttemptAt.UTC()
		object.NextAttemptAt = &next
	}

	return object
}

// readAttempts returns the attempts of deliveries, by delivery.
func readAttempts(ctx context.Context, q *db.Queries, rows []db.Delivery) (map[string][]db.DeliveryAttempt, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	attempts, err := q.ReadDeliveryAttempts(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read delivery attempts: %w", err)
	}
	byDelivery := map[string][]db.DeliveryAttempt{}
	for _, attempt := range attempts {
		byDelivery[attempt.DeliveryID] = append(byDelivery[attempt.DeliveryID], attempt)
	}

	return byDelivery, nil
}

// getDelivery is GET /v1/webhooks/deliveries/{id}.
func (s *Server) getDelivery(c *call) error {
	id, err := c.pathID(payments.PrefixDelivery)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	var object deliveryObject
	// One snapshot: the attempts are those that made the row what it is.
	err = c.env.Store.Snapshot(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.ReadDelivery(ctx, db.ReadDeliveryParams{ID: id, WorkspaceID: c.key.workspaceID})
		if err != nil {
			return err
		}
		attempts, err := q.ReadDeliveryAttempts(ctx, []string{id})
		object = c.deliveryOf(row, attempts)

		return err
	})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, object)

	return nil
}

// deliveryFilter is what a list of deliveries may be narrowed by.
type deliveryFilter struct {
	eventID    string
	endpointID string
	// statuses are one or, for all, none.
	statuses []string
}

func (q *query) deliveryFilter() deliveryFilter {
	filter := deliveryFilter{
		eventID: q.id("event_id", payments.PrefixEvent), endpointID: q.id("endpoint_id", payments.PrefixEndpoint),
		statuses: []string{},
	}
	if status := q.oneOf("status", "", "pending", "succeeded", "failed"); status != "" {
		filter.statuses = append(filter.statuses, status)
	}

	return filter
}

// id returns a parameter that must be an id of the prefix, "" without it.
func (q *query) id(name, prefix string) string {
	text, present := q.text(name)
	if present && !payments.ValidID(prefix, text) {
		q.fail(name, "must be an id that begins with "+prefix+"_")

		return ""
	}

	return text
}

// listDeliveries is GET /v1/webhooks/deliveries.
func (s *Server) listDeliveries(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	page, filter := q.page(payments.PrefixDelivery), q.deliveryFilter()
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	var rows []db.Delivery
	var attempts map[string][]db.DeliveryAttempt
	err = c.env.Store.Snapshot(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if rows, err = readDeliveries(ctx, q, c.key.workspaceID, page, filter); err != nil {
			return err
		}
		attempts, err = readAttempts(ctx, q, rows)

		return err
	})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, page.limit, func(row db.Delivery) string { return row.ID },
		func(row db.Delivery) deliveryObject { return c.deliveryOf(row, attempts[row.ID]) }))

	return nil
}

// readDeliveries takes the query whose index fits the filter.
func readDeliveries(ctx context.Context, q *db.Queries, workspace string, p page, f deliveryFilter) ([]db.Delivery, error) {
	switch {
	case f.eventID != "":
		return q.ReadDeliveryPageByEvent(ctx, db.ReadDeliveryPageByEventParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses,
			EventID: f.eventID, EndpointID: f.endpointID,
		})
	case f.endpointID != "":
		return q.ReadDeliveryPageByEndpoint(ctx, db.ReadDeliveryPageByEndpointParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses, EndpointID: f.endpointID,
		})
	case len(f.statuses) > 0 && !slices.Contains(f.statuses, "succeeded"):
		return q.ReadDeliveryPageUnfinished(ctx, db.ReadDeliveryPageUnfinishedParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses,
		})
	}

	return q.ReadDeliveryPage(ctx, db.ReadDeliveryPageParams{
		WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses,
	})
}

// redeliver is POST /v1/webhooks/deliveries/{id}/redeliver: the same event, the
// same bytes, now.
func (s *Server) redeliver(c *call) error {
	id, err := c.pathID(payments.PrefixDelivery)
	if err != nil {
		return err
	}
	named := db.ReadDeliveryParams{ID: id, WorkspaceID: c.key.workspaceID}

	return s.deliverNow(c, func(ctx context.Context, q *db.Queries) (db.Delivery, error) {
		if _, err := q.ReadDelivery(ctx, named); err != nil {
			return db.Delivery{}, err
		}
		row, err := q.MakeDeliveryDue(ctx, db.MakeDeliveryDueParams(named))
		if errors.Is(err, pgx.ErrNoRows) {
			return row, errEndpointDisabled
		}

		return row, err
	})
}

// testEndpoint is POST /v1/webhooks/endpoints/{id}/test: an event of its own
// for this endpoint alone.
func (s *Server) testEndpoint(c *call) error {
	id, err := c.pathID(payments.PrefixEndpoint)
	if err != nil {
		return err
	}

	return s.deliverNow(c, func(ctx context.Context, q *db.Queries) (db.Delivery, error) {
		endpoint, err := q.ReadWebhookEndpoint(ctx, db.ReadWebhookEndpointParams{ID: id, WorkspaceID: c.key.workspaceID})
		if err != nil {
			return db.Delivery{}, err
		}
		if endpoint.Status != "enabled" {
			return db.Delivery{}, errEndpointDisabled
		}

		return c.env.Store.WriteTestEvent(ctx, q, endpoint)
	})
}

// deliverNow answers 202 with a delivery that effect has made due, and starts
// its workflow once that is committed. Without a workflow the sweeper starts
// one, within two minutes.
func (s *Server) deliverNow(c *call, effect func(ctx context.Context, q *db.Queries) (db.Delivery, error)) error {
	key, body, err := c.readPost(readNoFields)
	if err != nil {
		return err
	}
	var due string
	p := post{key: key, body: body, resourceID: payments.NewID(prefixCommand), status: http.StatusAccepted, request: struct{}{}}
	err = s.atOnce(c, p, func(ctx context.Context, q *db.Queries) (remember, send any, err error) {
		row, err := effect(ctx, q)
		if err != nil {
			return nil, nil, err
		}
		due = row.ID
		attempts, err := q.ReadDeliveryAttempts(ctx, []string{row.ID})
		object := c.deliveryOf(row, attempts)

		return object, object, err
	})
	if due == "" || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), startTimeout)
	defer cancel()
	if err := c.env.Deliveries.Deliver(ctx, due); err != nil {
		s.log.WarnContext(ctx, "delivery not started, left to the sweeper", "delivery", due, "error", err)
	}

	return nil
}
