package receivers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/webhooks"
)

const apiKey = "lnt_sandbox_of_a_receiver"

// eventsAPI answers GET /v1/events as LNTPay does, in small pages.
type eventsAPI struct {
	url string

	mu     sync.Mutex
	events []event
	// away makes it answer 503.
	away   bool
	served chan int
}

func startEventsAPI(t *testing.T) *eventsAPI {
	t.Helper()
	api := &eventsAPI{served: make(chan int, 1000)}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	api.url = server.URL

	return api
}

func (a *eventsAPI) set(events []event, away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events, a.away = events, away
}

// waitFor waits for an answer of this status.
func (a *eventsAPI) waitFor(t *testing.T, status int) {
	t.Helper()
	for {
		select {
		case served := <-a.served:
			if served == status {
				return
			}
		case <-time.After(patience):
			require.Fail(t, "nobody asks for events", "status %d", status)
		}
	}
}

func (a *eventsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	status := http.StatusOK
	switch {
	case r.Method != http.MethodGet || r.URL.Path != "/v1/events":
		status = http.StatusNotFound
	case r.Header.Get("Authorization") != "Bearer "+apiKey:
		status = http.StatusUnauthorized
	case r.FormValue("limit") != "100":
		status = http.StatusBadRequest
	case a.away:
		status = http.StatusServiceUnavailable
	}
	w.WriteHeader(status)
	if status == http.StatusOK {
		_ = json.NewEncoder(w).Encode(a.page(r.FormValue("cursor")))
	}
	a.served <- status
}

// page lists two events below the cursor, the newest first.
func (a *eventsAPI) page(cursor string) any {
	const size = 2
	below := len(a.events)
	if cursor != "" {
		below, _ = strconv.Atoi(cursor)
	}
	data := []json.RawMessage{}
	for _, e := range slices.Backward(a.events[max(below-size, 0):below]) {
		data = append(data, e.body)
	}
	page := map[string]any{"object": "list", "data": data, "has_more": below > size, "next_cursor": nil}
	if below > size {
		page["next_cursor"] = strconv.Itoa(below - size)
	}

	return page
}

func TestReceiversFetchWhatIsMissing(t *testing.T) {
	t.Parallel()
	forEach(t, services(), func(t *testing.T, start starter) {
		secrets := webhooks.Secrets{Current: webhooks.NewSecret()}
		api := startEventsAPI(t)
		events := newEvents(t, 12)
		s := settings{secrets: []string{secrets.Current}, inbox: t.TempDir(), api: api.url, gapSeconds: "0.02"}

		api.set(nil, true)
		r := start(t, s)
		api.waitFor(t, http.StatusServiceUnavailable)
		api.set(events[:1], false)
		require.Equal(t, entries(events[:1]), r.handled(t, 1), "it goes on asking until it is answered")
		api.waitFor(t, http.StatusOK)

		api.set(events[:7], false)
		require.Empty(t, deliver(t, r, secrets, events[6]).Err)
		require.Equal(t, entries(events[:7]), r.handled(t, 7), "a gap")
		for _, e := range events[:7] {
			require.Empty(t, deliver(t, r, secrets, e).Err, "a delivery of what was fetched is a repeat")
		}

		// It dies with an event in memory that it has answered for.
		api.set(nil, true)
		require.Empty(t, deliver(t, r, secrets, events[9]).Err)
		r.kill()
		require.Equal(t, entries(events[:7]), r.recorded(t))
		api.set(events, false)
		r = start(t, s)
		require.Equal(t, entries(events[7:]), r.handled(t, 5), "what came while it was away, and nothing again")
		require.Empty(t, deliver(t, r, secrets, events[2]).Err, "a repeat from before its death")
		require.Equal(t, entries(events), r.recorded(t))
	})
}
