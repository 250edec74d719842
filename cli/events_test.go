package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func event(n int, kind string) string {
	object := compactCharge(n)
	if kind == "withdrawal.failed" {
		object = withdrawal("failed")
	}

	return fmt.Sprintf(`{"id":"evt_%d","object":"event","type":%q,"environment":"sandbox","sequence":%d,`+
		`"created_at":"2026-01-31T12:00:00.5Z","data":{"object":%s},"of_the_future":1}`, n, kind, n, object)
}

func compactCharge(n int) string { return charge(fmt.Sprint("ch_", n), "paid") }

// stream serves an event to begin after, and connections of some events each,
// of which the last stays open.
func stream(t *testing.T, connections ...[]string) *api {
	t.Helper()
	var a *api
	n := 0
	a = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events/stream" {
			answer(200, event(1, "charge.paid"))(w, r)

			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		a.mu.Lock()
		events := connections[n]
		n++
		last := n == len(connections)
		a.seen[len(a.seen)-1].key = r.Header.Get("Last-Event-ID")
		a.mu.Unlock()
		for _, one := range events {
			_, _ = fmt.Fprintf(w, "retry: 1\ndata: %s\n\n", one)
		}
		_ = http.NewResponseController(w).Flush()
		if last {
			<-r.Context().Done()
		}
	})

	return a
}

func TestTailGoesOn(t *testing.T) {
	t.Parallel()
	two, three, four := event(2, "charge.paid"), event(3, "charge.expired"), event(4, "withdrawal.failed")
	a := stream(t, []string{two}, []string{three, four})
	got := run(t, a, "events", "tail", "--since", "evt_1", "--count", "3", "--json")
	require.Zero(t, got.code, got)
	require.Equal(t, two+"\n"+three+"\n"+four+"\n", got.out)
	require.Equal(t, "evt_2", a.requests()[2].key, "Last-Event-ID")
	require.Contains(t, got.stderr, "connecting again")

	got = run(t, stream(t, []string{two, three, four}), "events", "tail", "--since", "evt_1", "--type", "charge.paid,withdrawal.failed", "--count", "2")
	lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
	require.Len(t, lines, 2)
	require.Regexp(t, `^2026-0\d-\d\d \d\d:\d\d:\d\d  evt_2  charge\.paid           ch_2  21\.5 sat$`, lines[0])
	require.Regexp(t, `  evt_4  withdrawal\.failed     wd_1  10 sat, no_route: none was found$`, lines[1])
}

func TestTailUntilCtrlC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := stream(t, []string{event(2, "charge.paid")}, nil)
	a.steps = append(a.steps, a.steps[0], func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	got := runWith(ctx, func() (Target, error) { return Target{a.URL, "k"}, nil }, "events", "tail", "--since", "evt_1")
	require.Equal(t, ExitInterrupted, got.code)
	require.Contains(t, got.out, "evt_2")
	require.True(t, strings.HasSuffix(got.stderr, "\nto go on: lntpay events tail --since evt_2\n"), got.stderr)
}

func TestTailOfAnUnknownEvent(t *testing.T) {
	t.Parallel()
	require.Equal(t, ExitNotFound, run(t, serve(t, refusal(404, "not_found")), "events", "tail", "--since", "evt_9").code)
}

func TestEventsList(t *testing.T) {
	t.Parallel()
	page := `{"object":"list","data":[` + event(2, "charge.paid") + `,{"id":"evt_1","type":"webhook.test","created_at":"2026-01-31T12:00:00Z",` +
		`"data":{"object":{"object":"webhook_endpoint","id":"we_1","url":"https://example.com/\u001b]0;x"}}}],"has_more":false,"next_cursor":null}`
	a := serve(t, answer(200, page))
	got := run(t, a, "events", "list", "--type", "charge.paid")
	require.Equal(t, "/v1/events?limit=21&type=charge.paid", a.requests()[0].path)
	require.Regexp(t, `(?m)^evt_2  charge\.paid   \d+d ago +ch_2  21\.5 sat$`, got.out)
	require.Regexp(t, `(?m)^evt_1  webhook\.test  \d+d ago +we_1  https://example\.com/ ]0;x$`, got.out)
}
