package api

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// getEvent is GET /v1/events/{id}: the bytes that were delivered.
func (s *Server) getEvent(c *call) error {
	id, err := c.pathID(payments.PrefixEvent)
	if err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	payload, err := c.env.Store.ReadEvent(ctx, db.ReadEventParams{ID: id, WorkspaceID: c.key.workspaceID})
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, contentJSON, payload)

	return nil
}

// storedEvent is an event of a list.
type storedEvent struct {
	sequence int64
	payload  []byte
}

// listEvents is GET /v1/events, by sequence, newest first.
func (s *Server) listEvents(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	limit := q.number("limit", 1, maxLimit, defaultLimit)
	before := q.sequence()
	if before == 0 {
		before = math.MaxInt64
	}
	eventType := q.eventType("type")
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.readEvents(ctx, eventType, before, int32(limit)+1)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, limit,
		func(row storedEvent) string { return strconv.FormatInt(row.sequence, 10) },
		func(row storedEvent) json.RawMessage { return row.payload }))

	return nil
}

// eventType returns a type that exists, "" for all.
func (q *query) eventType(name string) string {
	types := payments.EventTypes()
	choices := make([]string, len(types))
	for i, known := range types {
		choices[i] = string(known)
	}

	return q.oneOf(name, "", choices...)
}

// readEvents takes the query whose index fits.
func (c *call) readEvents(ctx context.Context, eventType string, before int64, maxRows int32) ([]storedEvent, error) {
	var events []storedEvent
	if eventType == "" {
		rows, err := c.env.Store.Lists().ReadEventPage(ctx, db.ReadEventPageParams{
			WorkspaceID: c.key.workspaceID, BeforeSequence: before, MaxRows: maxRows,
		})
		for _, row := range rows {
			events = append(events, storedEvent{row.Sequence, row.Payload})
		}

		return events, err
	}
	rows, err := c.env.Store.Lists().ReadEventPageByType(ctx, db.ReadEventPageByTypeParams{
		WorkspaceID: c.key.workspaceID, Type: eventType, BeforeSequence: before, MaxRows: maxRows,
	})
	for _, row := range rows {
		events = append(events, storedEvent{row.Sequence, row.Payload})
	}

	return events, err
}
