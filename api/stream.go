package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

const (
	headerLastEventID = "Last-Event-ID"
	contentStream     = "text/event-stream"
	// heartbeatEvery keeps proxies from taking a silent stream for a dead one.
	heartbeatEvery = 15 * time.Second
	// streamBatch is how many events are read and written at a time.
	streamBatch = 100
	// streamWriteTimeout ends a stream whose client does not read: it comes back
	// for what it has not seen.
	streamWriteTimeout = 10 * time.Second
	// streamOpening tells a client to reconnect after a second.
	streamOpening = "retry: 1000\n"
	streamUnknown = ": the Last-Event-ID is unknown, the stream begins at the present\n"
	heartbeat     = ": \n\n"
)

// errStreamOver ends a stream for a reason that the client need not know.
var errStreamOver = errors.New("api: the stream is over")

// stream is one client of GET /v1/events/stream.
type stream struct {
	*call
	controller *http.ResponseController
	// sequence is that of the last event sent.
	sequence int64
}

// streamEvents is GET /v1/events/stream. A client is woken by the notification
// of an event's transaction, and reads what comes after the last that it has:
// the sequence is gap-free in the order of commits, so nothing is left out.
func (s *Server) streamEvents(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	if err := q.result(); err != nil {
		return err
	}
	end, err := s.beginWait(c)
	if err != nil {
		return err
	}
	defer end()
	// Before the first read: what is written after it wakes.
	wake, unsubscribe, ok := c.env.watcher.subscribe(c.key.workspaceID)
	if !ok {
		return errUnavailable
	}
	defer unsubscribe()
	sequence, known, err := c.streamStart()
	if err != nil {
		return err
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	st := &stream{call: c, controller: http.NewResponseController(c.Writer), sequence: sequence}
	// From here on nothing can be answered but the end of the stream.
	if err := st.run(s, wake, known); err != nil && c.Request.Context().Err() == nil && !errors.Is(err, errStreamOver) {
		s.log.InfoContext(c.Request.Context(), "event stream ended", "request_id", requestID(c.Context), "error", err)
	}

	return nil
}

// streamStart is the sequence after which the stream begins: that of the
// Last-Event-ID, or the present.
func (c *call) streamStart() (sequence int64, known bool, err error) {
	ctx, cancel := c.context()
	defer cancel()
	id := c.GetHeader(headerLastEventID)
	if id != "" && payments.ValidID(payments.PrefixEvent, id) {
		sequence, err = c.env.Store.EventSequence(ctx, db.EventSequenceParams{ID: id, WorkspaceID: c.key.workspaceID})
		if err == nil {
			return sequence, true, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return 0, false, fmt.Errorf("read the sequence of an event: %w", err)
		}
	}
	sequence, err = c.env.Store.LastEventSequence(ctx, c.key.workspaceID)
	if err != nil {
		return 0, false, fmt.Errorf("read the last sequence: %w", err)
	}

	return sequence, id == "", nil
}

// run sends until the client leaves, the server stops or the key is deleted.
func (s *stream) run(server *Server, wake <-chan struct{}, known bool) error {
	s.Header("Content-Type", contentStream)
	// nginx would hold events back.
	s.Header("X-Accel-Buffering", "no")
	s.Status(http.StatusOK)
	opening := streamOpening
	if !known {
		opening += streamUnknown
	}
	if err := s.write([]byte(opening + "\n")); err != nil {
		return err
	}
	ticker := time.NewTicker(server.heartbeatEvery)
	defer ticker.Stop()
	for {
		if err := s.sendNew(); err != nil {
			return err
		}
		select {
		case <-wake:
		case <-ticker.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-server.stopping:
			return errStreamOver
		case <-s.Request.Context().Done():
			return errStreamOver
		}
	}
}

// sendNew sends all that came after the last event sent.
func (s *stream) sendNew() error {
	for {
		events, err := s.next()
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if len(events) == 0 {
			return nil
		}
		var batch bytes.Buffer
		for _, event := range events {
			// The payload is JSON of one line, as SSE's data must be.
			fmt.Fprintf(&batch, "id: %s\nevent: %s\ndata: %s\n\n", event.ID, event.Type, event.Payload)
		}
		if err := s.write(batch.Bytes()); err != nil {
			return err
		}
		s.sequence = events[len(events)-1].Sequence
		if len(events) < streamBatch {
			return nil
		}
	}
}

func (s *stream) next() ([]db.EventsAfterRow, error) {
	ctx, cancel := s.context()
	defer cancel()

	return s.env.Store.EventsAfter(ctx, db.EventsAfterParams{
		WorkspaceID: s.key.workspaceID, AfterSequence: s.sequence, MaxRows: streamBatch,
	})
}

// beat shows that the stream lives, unless the key does not any more.
func (s *stream) beat() error {
	ctx, cancel := context.WithTimeout(s.Request.Context(), readTimeout)
	defer cancel()
	if _, err := s.env.keys.find(ctx, s.keyHash); errors.Is(err, pgx.ErrNoRows) {
		return errStreamOver
	}

	return s.write([]byte(heartbeat))
}

// write sends at once. The deadline is the connection's: each write sets its
// own, in place of the server's for a whole answer.
func (s *stream) write(text []byte) error {
	if err := s.controller.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); err != nil {
		return fmt.Errorf("set the write deadline: %w", err)
	}
	if _, err := s.Writer.Write(text); err != nil {
		return fmt.Errorf("write to the stream: %w", err)
	}
	if err := s.controller.Flush(); err != nil {
		return fmt.Errorf("flush the stream: %w", err)
	}

	return nil
}
