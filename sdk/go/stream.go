package lntpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"
)

// StreamParams say where a stream begins.
type StreamParams struct {
	// LastEventID is the ID of the last event that was handled: the stream goes
	// on after it. If empty, it begins at the present. One that the API does not
	// know is [ErrNotFound].
	LastEventID string
	// OnReconnect, if set, is told why a connection ended or could not be made,
	// before the next one.
	OnReconnect func(error)
}

// Stream follows the events as they happen, each once and in order. It outlives
// broken connections and restarts of the server, and goes on where it was. It
// ends when the caller stops, or with an error: that of the context, or a
// refusal that will not change, such as [ErrUnauthorized] or [ErrForbidden].
//
// To go on after a restart of your own, keep the ID of the last event that you
// have handled and give it as LastEventID.
func (s *Events) Stream(ctx context.Context, params StreamParams) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		st := stream{c: s.c, lastID: params.LastEventID, yield: yield}
		for n := 0; ; n++ {
			before := st.received
			err := st.run(ctx)
			switch {
			case errors.Is(err, errStopped):
				return
			case ctx.Err() != nil:
				yield(nil, over(ctx, err))

				return
			case !passes(err):
				yield(nil, err)

				return
			}
			if st.received != before {
				n = 0
			}
			if params.OnReconnect != nil {
				params.OnReconnect(err)
			}
			sleep(ctx, max(st.retry, s.c.streamBackoff.pause(n, err)))
		}
	}
}

// errStopped means that the caller left the loop.
var errStopped = errors.New("lntpay: the caller stopped")

// passes tells whether what ended a connection may be over some time later:
// anything but a refusal.
func passes(err error) bool {
	if problem, ok := errors.AsType[*Error](err); ok {
		return retryable(err) || problem.Status >= http.StatusInternalServerError || problem.Status == http.StatusRequestTimeout
	}
	// A deadline is that of a try, or of a silent connection.
	return retryable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// stream is one loop over events.
type stream struct {
	c     *Client
	yield func(*Event, error) bool
	// began is set once it is known after which event the stream begins: lastID
	// and sequence are that event's, or empty where there was none yet.
	began    bool
	lastID   string
	sequence int64
	// received counts the lines that came.
	received int
	retry    time.Duration
}

// run makes one connection and yields what comes by it.
func (s *stream) run(ctx context.Context) error {
	if !s.began {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	connection, cancel := context.WithCancel(ctx)
	defer cancel()
	// A connection can be dead without a word. The timer stands still while
	// something else than the connection is waited for.
	idle := time.AfterFunc(s.c.streamIdle, cancel)
	defer idle.Stop()
	response, err := s.open(connection)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if s.lastID == "" {
		idle.Stop()
		if err := s.catchUp(ctx); err != nil {
			return err
		}
	}
	reader := newSSEReader(response.Body, func() {
		s.received++
		idle.Reset(s.c.streamIdle)
	})
	for {
		idle.Reset(s.c.streamIdle)
		data, err := reader.next()
		idle.Stop()
		s.retry = max(s.retry, reader.retry)
		if err != nil {
			return err
		}
		var event item[Event]
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return fmt.Errorf("lntpay: the stream sent what is no event: %w", err)
		}
		if err := s.pass(ctx, &event); err != nil {
			return err
		}
	}
}

// begin finds the event after which the stream begins. Were it left to the
// first connection, what happens between that one and the next would be lost as
// long as no event has come.
func (s *stream) begin(ctx context.Context) error {
	// What is only looked at is not told of.
	ctx = WithRawJSON(ctx, nil)
	if s.lastID != "" {
		event, err := s.c.Events.Get(ctx, s.lastID)
		if err != nil {
			return err
		}
		s.sequence = event.Sequence
	} else {
		for event, err := range s.c.Events.List(ctx, EventFilter{PageSize: 1}) {
			if err != nil {
				return err
			}
			s.lastID, s.sequence = event.ID, event.Sequence

			break
		}
	}
	s.began = true

	return nil
}

// catchUp yields what happened since the beginning in a workspace that had no
// event then: there is no id to go on after. It is called with the stream open,
// so nothing falls between.
func (s *stream) catchUp(ctx context.Context) error {
	var events []*item[Event]
	for event, err := range list[item[Event]](WithRawJSON(ctx, nil), s.c, eventsPath, query(), pageSize) {
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	for _, event := range slices.Backward(events) {
		if err := s.pass(ctx, event); err != nil {
			return err
		}
	}

	return nil
}

// pass yields an event that has not been yielded.
func (s *stream) pass(ctx context.Context, one *item[Event]) error {
	event := &one.object
	if event.Sequence <= s.sequence {
		return nil
	}
	s.lastID, s.sequence = event.ID, event.Sequence
	tell(ctx, one.raw)
	if !s.yield(event, nil) {
		return errStopped
	}

	return nil
}

func (s *stream) open(ctx context.Context) (*http.Response, error) {
	request, err := s.c.newRequest(ctx, get(eventsPath+"/stream", nil), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if s.lastID != "" {
		request.Header.Set("Last-Event-ID", s.lastID)
	}
	response, err := s.c.http.Do(request)
	if err != nil {
		return nil, &lostError{err}
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		body, err := readAll(response.Body)
		if err != nil {
			return nil, err
		}

		return nil, problem(response, body)
	}
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		_ = response.Body.Close()

		return nil, fmt.Errorf("lntpay: the stream is %q and not of events", kind)
	}

	return response, nil
}
