package activities_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/webhooks"
)

// sink is an endpoint that takes everything and counts what it has seen.
type sink struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]int
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{seen: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[request.Header.Get("webhook-id")]++
	}))
	t.Cleanup(s.Close)

	return s
}

// distinct is how many different events came.
func (s *sink) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return len(s.seen)
}

// newDeliveries makes the activity that delivers to a sink, and what seals a
// secret for an endpoint.
func newDeliveries(t *testing.T, w *world) (*activities.Deliveries, func(endpointID string) []byte) {
	t.Helper()
	sealer, err := webhooks.NewSealer(bytes.Repeat([]byte("k"), 32))
	require.NoError(t, err)
	sender := webhooks.NewSender(webhooks.Policy{AllowPrivate: true}, webhooks.Options{Timeout: 5 * time.Second})
	t.Cleanup(sender.Close)
	deliveries := &activities.Deliveries{
		Store: w.Store, Sender: sender, Sealer: sealer, Starter: w.nudger, Log: quietLog(),
	}

	return deliveries, func(id string) []byte { return sealer.Seal(id, webhooks.NewSecret()) }
}
