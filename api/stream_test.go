package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/sse"
)

// tail is a client of the event stream.
type tail struct {
	*sse.Stream

	t *testing.T
}

// stream opens one at a server. The first thing that comes is the time to wait
// before a reconnect.
func (b *bench) stream(t *testing.T, url, key, lastID string) *tail {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/events/stream", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+key)
	opened, err := sse.Open(http.DefaultClient, request, lastID)
	require.NoError(t, err)
	t.Cleanup(func() { _ = opened.Close() })

	return &tail{Stream: opened, t: t}
}

// sequences reads n events and checks that each is itself.
func (s *tail) sequences(b *bench, n int) (sequences []int64, last string) {
	s.t.Helper()
	for range n {
		event, err := s.NextEvent()
		require.NoError(s.t, err)
		var object struct {
			ID       string
			Type     string
			Sequence int64
		}
		require.NoError(s.t, json.Unmarshal([]byte(event.Data), &object))
		require.Equal(s.t, []string{object.ID, object.Type}, []string{event.ID, event.Type})
		require.Equal(s.t, b.get("/v1/events/"+event.ID).body, event.Data)
		sequences, last = append(sequences, object.Sequence), event.ID
	}

	return sequences, last
}

func upTo(from, to int64) (all []int64) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}

	return all
}

func TestEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.happen(t, 5)
	b.charges.pay(t, b.charge(`{"amount_sats":1}`), 1000)
	whole, _ := b.list(b.get("/v1/events"))
	require.Len(t, whole, 6)
	require.Equal(t, whole, b.pages("/v1/events?limit=4"))
	paid, _ := b.list(b.get("/v1/events?type=charge.paid"))
	require.Equal(t, whole[:1], paid)
	canceled, _ := b.list(b.get("/v1/events?type=charge.canceled&limit=100"))
	require.Equal(t, whole[1:], canceled)
	var payload []byte
	require.NoError(t, b.store.Pool.QueryRow(t.Context(), "SELECT payload FROM event WHERE id = $1", whole[0]).Scan(&payload))
	require.Equal(t, string(payload), b.get("/v1/events/"+whole[0]).body)
	foreign := withKey(b.newKey(b.newWorkspace(), nil, "webhooks:read"))
	b.refused(b.get("/v1/events/"+whole[0], foreign), payments.CodeNotFound)
	ids, _ := b.list(b.get("/v1/events", foreign))
	require.Empty(t, ids)
	b.refused(b.get("/v1/events/evt_1"), payments.CodeNotFound)
	for _, query := range []string{"type=charge.made", "type=*", "cursor=x", "limit=101", "after=1"} {
		b.refused(b.get("/v1/events?"+query), payments.CodeInvalidRequest)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.happen(t, 2)
	s := b.stream(t, b.url, b.key, "")
	b.happen(t, 150)
	sequences, last := s.sequences(b, 150)
	require.Equal(t, upTo(3, 152), sequences, "from the present, more than a batch")
	require.NoError(t, s.Close())
	b.happen(t, 3)
	s = b.stream(t, b.url, b.key, last)
	sequences, _ = s.sequences(b, 3)
	require.Equal(t, upTo(153, 155), sequences, "what happened meanwhile")
	b.happen(t, 1)
	sequences, _ = s.sequences(b, 1)
	require.Equal(t, upTo(156, 156), sequences)
}

// TestStreamUnknown: an id that is not this workspace's begins at the present.
func TestStreamUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.happen(t, 1)
	ids, _ := b.list(b.get("/v1/events"))
	other := b.newKey(b.newWorkspace(), nil, "webhooks:read")
	for _, id := range []string{"evt_00000000000000000000000000", "nonsense", ids[0]} {
		s := b.stream(t, b.url, other, id)
		first, err := s.Next()
		require.NoError(t, err)
		require.Contains(t, first.Comment, "unknown", id)
		require.NoError(t, s.Close())
	}
	b.refused(b.get("/v1/events/stream?from=1"), payments.CodeInvalidRequest)
}

// TestStreamGapFree: many transactions at once, two API processes, clients that
// are cut off again and again: each event once and in order.
func TestStreamGapFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	second, err := api.New(api.Options{
		Config:       config.Defaults().API,
		Environments: map[payments.Environment]api.Environment{payments.Sandbox: b.environment},
	})
	require.NoError(t, err)
	listener := httptest.NewServer(second.Handler())
	t.Cleanup(listener.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var background sync.WaitGroup
	background.Go(func() { second.Watch(ctx) })
	t.Cleanup(func() { cancel(); background.Wait() })
	b.happen(t, 1)
	ids, _ := b.list(b.get("/v1/events"))
	const writers, each = 8, 25
	var all sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		all.Go(func() { errs[i] = b.tryHappen(each) })
	}
	var seen []int64
	urls, last := []string{b.url, listener.URL}, ids[0]
	for cut := 0; len(seen) < writers*each; cut++ {
		s := b.stream(t, urls[cut%2], b.key, last)
		var sequences []int64
		sequences, last = s.sequences(b, min(11, writers*each-len(seen)))
		seen = append(seen, sequences...)
		require.NoError(t, s.Close())
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, upTo(2, writers*each+1), seen)
}

// TestStreamEnds: with the server, and with the key.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.stream(t, b.url, b.key, "")
	require.Equal(t, "1", b.metric(t, "lntpay_http_event_streams"))
	b.server.StopStreams()
	_, err := s.NextEvent()
	require.ErrorIs(t, err, io.EOF, "an orderly end")
	require.Eventually(t, func() bool { return b.metric(t, "lntpay_http_event_streams") == "0" }, 5*time.Second, 5*time.Millisecond)
}

func TestStreamOfADeletedKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.BeatEvery(20 * time.Millisecond)
	expires := time.Now().Add(2 * time.Second)
	s := b.stream(t, b.url, b.newKey(b.workspace, &expires, "webhooks:read"), "")
	var err error
	beats := -1 // The time to wait before a reconnect comes first.
	for ; err == nil; beats++ {
		_, err = s.Next()
	}
	require.ErrorIs(t, err, io.EOF)
	require.Greater(t, beats, 1)
	require.WithinDuration(t, expires, time.Now(), 2*time.Second)
}
