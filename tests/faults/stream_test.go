package faults_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
	"github.com/lntpay/lntpay/tests/sse"
)

// streamReader is a client of the event stream that goes on after its last event
// whenever it is cut off.
type streamReader struct {
	client *load.Client
	random *rand.Rand
	cancel context.CancelFunc
	// ended has what was read once the reader has ended.
	ended chan []load.Event
	// arrived is told of each event.
	arrived chan struct{}
	cuts    int
	broken  int
}

// startReader reads from after the event of the id.
func startReader(t *testing.T, c *load.Client, lastID string, random *rand.Rand) *streamReader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &streamReader{
		client: c, random: random, cancel: cancel, ended: make(chan []load.Event, 1),
		arrived: make(chan struct{}, 2*eventCharges),
	}
	t.Cleanup(cancel)
	go func() { r.ended <- r.read(ctx, lastID) }()

	return r
}

// read cuts itself off streamCuts times, after a random number of events each.
func (r *streamReader) read(ctx context.Context, lastID string) (seen []load.Event) {
	for ctx.Err() == nil {
		left := -1
		if r.cuts < streamCuts {
			left = 1 + r.random.IntN(eventCharges/(2*streamCuts))
		}
		before := len(seen)
		seen = r.once(ctx, lastID, left, seen)
		if len(seen) > before {
			lastID = seen[len(seen)-1].ID
		}
	}

	return seen
}

// once reads until the stream breaks, or cuts it off after left events.
func (r *streamReader) once(ctx context.Context, lastID string, left int, seen []load.Event) []load.Event {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.client.Base+"/v1/events/stream", nil)
	if err != nil {
		return seen
	}
	request.Header.Set("Authorization", "Bearer "+r.client.Key)
	stream, err := sse.Open(http.DefaultClient, request, lastID)
	if err != nil {
		time.Sleep(load.RepeatPause) // The API is away.

		return seen
	}
	defer func() { _ = stream.Close() }()
	for ; left != 0; left-- {
		next, err := stream.NextEvent()
		var read load.Event
		if err == nil {
			err = json.Unmarshal([]byte(next.Data), &read)
		}
		if err != nil {
			r.broken++

			return seen
		}
		seen = append(seen, read)
		r.arrived <- struct{}{}
	}
	r.cuts++

	return seen
}

// finish waits for what is still to come, and compares.
func (r *streamReader) finish(t *testing.T, told []load.Event) {
	t.Helper()
	deadline := time.After(recoverWithin)
	for n := range told {
		select {
		case <-r.arrived:
		case <-deadline:
			require.Fail(t, "the stream lacks events", "%d of %d came", n, len(told))
		}
	}
	r.cancel()
	seen := <-r.ended
	require.Equal(t, streamCuts, r.cuts)
	require.Len(t, seen, len(told), "events of the stream")
	for i, event := range told {
		require.Equal(t, event.ID, seen[i].ID, "event %d of the stream", i)
		require.Equal(t, event.Sequence, seen[i].Sequence)
	}
	t.Logf("the stream was cut off %d times and broke %d times more; each of %d events came once, in order",
		r.cuts, r.broken, len(seen))
}
