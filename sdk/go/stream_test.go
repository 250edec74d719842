package lntpay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// feed serves a workspace's events.
type feed struct {
	mu     sync.Mutex
	events []string
	more   chan struct{}
	// connections counts the streams; cut says after how many bytes the next one
	// breaks, never if 0.
	connections int
	cut         func(connection int) int
	// before, if set, is called when a stream is asked for, and answers in its
	// stead if it returns true.
	before func(connection int, w http.ResponseWriter, r *http.Request) bool
}

func newFeed(t *testing.T, count int) (*Client, *feed) {
	t.Helper()
	f := &feed{more: make(chan struct{}), cut: func(int) int { return 0 }}
	for range count {
		f.add()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events", f.list)
	mux.HandleFunc("GET /v1/events/stream", f.stream)
	mux.HandleFunc("GET /v1/events/{id}", f.get)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	return newTestClient(t, server.URL), f
}

func (f *feed) add() {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.events) + 1
	f.events = append(f.events, fmt.Sprintf(
		`{"id":"evt_%d","object":"event","type":"charge.paid","sequence":%d,"data":{"object":%s}}`,
		n, n, strings.ReplaceAll(charge(fmt.Sprint("ch_", n), ChargePaid), "\n", " ")))
	close(f.more)
	f.more = make(chan struct{})
}

// after is what comes after n events, and how to learn of more.
func (f *feed) after(n int) ([]string, chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.events[n:], f.more
}

func (f *feed) list(w http.ResponseWriter, r *http.Request) {
	events, _ := f.after(0)
	events = slices.Clone(events)
	slices.Reverse(events)
	if r.FormValue("limit") == "1" && len(events) > 1 {
		events = events[:1]
	}
	answer(http.StatusOK, `{"object":"list","has_more":false,"data":[`+strings.Join(events, ",")+`]}`)(w, r)
}

func (f *feed) get(w http.ResponseWriter, r *http.Request) {
	events, _ := f.after(0)
	for i, event := range events {
		if r.PathValue("id") == fmt.Sprint("evt_", i+1) {
			answer(http.StatusOK, event)(w, r)

			return
		}
	}
	refusal(http.StatusNotFound, ErrNotFound)(w, r)
}

func (f *feed) stream(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.connections++
	connection := f.connections
	f.mu.Unlock()
	if f.before != nil && f.before(connection, w, r) {
		return
	}
	events, _ := f.after(0)
	sent := len(events)
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		_, _ = fmt.Sscanf(id, "evt_%d", &sent)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := &cutter{w: w, left: f.cut(connection)}
	out.write("retry: 1\n\n")
	for {
		events, more := f.after(sent)
		for _, event := range events {
			sent++
			out.write(fmt.Sprintf("id: evt_%d\nevent: charge.paid\ndata: %s\n\n: \n\n", sent, event))
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

// cutter breaks the connection after so many bytes.
type cutter struct {
	w    http.ResponseWriter
	left int
}

func (c *cutter) write(text string) {
	if c.left > 0 && len(text) >= c.left {
		_, _ = io.WriteString(c.w, text[:c.left])
		_ = http.NewResponseController(c.w).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(text)
	_, _ = io.WriteString(c.w, text)
	_ = http.NewResponseController(c.w).Flush()
}

// sequences takes count events off a stream.
func sequences(t *testing.T, c *Client, params StreamParams, count int, each func(got int)) []int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []int64
	for event, err := range c.Events.Stream(ctx, params) {
		noError(t, err)
		got = append(got, event.Sequence)
		if each != nil {
			each(len(got))
		}
		if len(got) == count {
			break
		}
	}

	return got
}

func ascending(from, to int64) (all []int64) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}

	return all
}

// The connection breaks at every place within two events: nothing is lost and
// nothing comes twice.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	c, f := newFeed(t, 40)
	lengths := 0
	f.cut = func(int) int {
		lengths += 23

		return lengths
	}
	var reconnects int
	params := StreamParams{LastEventID: "evt_3", OnReconnect: func(err error) {
		reconnects++
		equal(t, true, retryable(err))
	}}
	equal(t, ascending(4, 40), sequences(t, c, params, 37, nil))
	if reconnects < 20 {
		t.Fatal(reconnects)
	}
}

func TestStreamBeginsAtThePresent(t *testing.T) {
	t.Parallel()
	c, f := newFeed(t, 3)
	// What happens between the beginning and the first connection that works.
	f.before = func(connection int, w http.ResponseWriter, _ *http.Request) bool {
		if connection > 3 {
			return false
		}
		f.add()
		cut(w, nil)

		return true
	}
	equal(t, ascending(4, 8), sequences(t, c, StreamParams{}, 5, func(got int) {
		if got >= 3 {
			f.add()
		}
	}))
}

// Without any event there is no id to go on after.
func TestStreamOfANewWorkspace(t *testing.T) {
	t.Parallel()
	c, f := newFeed(t, 0)
	f.before = func(connection int, w http.ResponseWriter, _ *http.Request) bool {
		f.add()
		if connection == 1 {
			cut(w, nil)
		}

		return connection == 1
	}
	equal(t, ascending(1, 4), sequences(t, c, StreamParams{}, 4, func(got int) {
		if got >= 2 {
			f.add()
		}
	}))
}

func TestSilentStreamIsLeft(t *testing.T) {
	t.Parallel()
	c, f := newFeed(t, 2)
	c.streamIdle = 50 * time.Millisecond
	f.before = func(connection int, w http.ResponseWriter, r *http.Request) bool {
		if connection == 1 {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}

		return connection == 1
	}
	equal(t, ascending(2, 2), sequences(t, c, StreamParams{LastEventID: "evt_1"}, 1, nil))
}

func TestStreamOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	c, f := newFeed(t, 2)
	c.maxRetries = 0
	f.before = func(connection int, w http.ResponseWriter, r *http.Request) bool {
		steps := []http.HandlerFunc{
			refusal(http.StatusServiceUnavailable, ErrServiceUnavailable, "Retry-After", "0"),
			refusal(http.StatusTooManyRequests, ErrRateLimited), refusal(http.StatusInternalServerError, ErrInternal),
			answer(http.StatusBadGateway, ""), answer(http.StatusGatewayTimeout, ""), cut,
		}
		if connection <= len(steps) {
			steps[connection-1](w, r)
		}

		return connection <= len(steps)
	}
	equal(t, ascending(2, 2), sequences(t, c, StreamParams{LastEventID: "evt_1"}, 1, nil))
}

func TestStreamEndsByARefusal(t *testing.T) {
	t.Parallel()
	last := func(c *Client, ctx context.Context, params StreamParams) error {
		for event, err := range c.Events.Stream(ctx, params) {
			if err != nil {
				equal(t, (*Event)(nil), event)

				return err
			}
		}

		return errors.New("no error")
	}
	for status, code := range map[int]Code{401: ErrUnauthorized, 403: ErrForbidden} {
		c, f := newFeed(t, 1)
		f.before = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			refusal(status, code)(w, r)

			return true
		}
		errorIs(t, last(c, t.Context(), StreamParams{}), code)
		equal(t, 1, f.connections)
	}
	c, f := newFeed(t, 1)
	errorIs(t, last(c, t.Context(), StreamParams{LastEventID: "evt_9"}), ErrNotFound)
	equal(t, 0, f.connections)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	errorIs(t, last(c, ctx, StreamParams{}), context.DeadlineExceeded)
	c, f = newFeed(t, 1)
	f.before = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		answer(http.StatusOK, "<html>", "Content-Type", "text/html")(w, r)

		return true
	}
	if err := last(c, t.Context(), StreamParams{}); !strings.Contains(err.Error(), "text/html") {
		t.Fatal(err)
	}
}

func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	r := newSSEReader(strings.NewReader(
		":comment\nretry: 1500\nretry: x\n\nid: 1\r\ndata:a\r\ndata: b\r\n\r\nevent: none\n\ndata\n\nunknown: x\ndata:  c\n\ndata: cut off\n"), func() {})
	for _, want := range []string{"a\nb", "", " c"} {
		data, err := r.next()
		noError(t, err)
		equal(t, want, data)
	}
	_, err := r.next()
	errorIs(t, err, io.EOF)
	equal(t, 1500*time.Millisecond, r.retry)
	_, err = newSSEReader(strings.NewReader(strings.Repeat("x", maxLine+1)), func() {}).next()
	equal(t, false, retryable(err))
}
