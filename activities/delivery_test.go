package activities

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/workflows"
)

// receiver is an endpoint that answers with the statuses it is given, the last
// of them for ever, and remembers what came.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	header   http.Header
	ids      []string
	// hold, when not nil, delays each answer until it is closed.
	hold    chan struct{}
	arrived chan struct{}
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses, header: http.Header{}, arrived: make(chan struct{}, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)

	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.ids = append(r.ids, req.Header.Get("webhook-id"))
	status := r.statuses[0]
	if len(r.statuses) > 1 {
		r.statuses = r.statuses[1:]
	}
	maps.Copy(w.Header(), r.header)
	hold := r.hold
	r.mu.Unlock()
	r.arrived <- struct{}{}
	if hold != nil {
		<-hold
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte("answer"))
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	return append([]string(nil), r.ids...)
}

// starter remembers what it was asked to start.
type starter struct{ started []string }

func (s *starter) Deliver(_ context.Context, id string) error {
	s.started = append(s.started, id)

	return nil
}

// bundle is what a test needs.
type bundle struct {
	*Deliveries
	starter   *starter
	workspace string
	endpoint  string
	secret    string
}

func setup(t *testing.T, url string) *bundle {
	t.Helper()
	s := storetest.New(t)
	sealer, err := webhooks.NewSealer([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	st := &starter{}
	b := &bundle{
		Deliveries: &Deliveries{
			Store: s, Sealer: sealer, Starter: st,
			Sender: webhooks.NewSender(webhooks.Policy{AllowPrivate: true}, webhooks.Options{Timeout: 2 * time.Second}),
			Jitter: func() float64 { return 0.5 },
		},
		starter: st, workspace: storetest.Workspace(t, s), secret: webhooks.NewSecret(),
	}
	b.endpoint = b.addEndpoint(t, url, b.secret)

	return b
}

func (b *bundle) addEndpoint(t *testing.T, url, secret string) string {
	t.Helper()
	id := payments.NewID(payments.PrefixEndpoint)
	b.exec(t, `INSERT INTO webhook_endpoint (id, workspace_id, url, events, secret_sealed) VALUES ($1, $2, $3, '{*}', $4)`,
		id, b.workspace, url, b.Sealer.Seal(id, secret))

	return id
}

// event writes an event and returns the deliveries that it caused.
func (b *bundle) event(t *testing.T) []string {
	t.Helper()
	resource := payments.NewID(payments.PrefixCharge)
	require.NoError(t, b.Store.InTx(t.Context(), func(_ pgx.Tx, q *db.Queries) error {
		return b.Store.WriteEvents(t.Context(), q, []store.NewEvent{{
			WorkspaceID: b.workspace, Type: payments.EventChargePaid, ResourceID: resource, Object: map[string]string{"id": resource},
		}})
	}))
	ids, err := b.Store.UntriedDeliveries(t.Context(), resource)
	require.NoError(t, err)

	return ids
}

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.Store.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func (b *bundle) attempt(t *testing.T, id string) workflows.AttemptResult {
	t.Helper()
	result, err := b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id})
	require.NoError(t, err)
	require.NotContains(t, result.Note, "whsec_")

	return result
}

// makeDue brings the next attempt to now.
func (b *bundle) makeDue(t *testing.T, id string) {
	t.Helper()
	b.exec(t, "UPDATE delivery SET next_attempt_at = now() WHERE id = $1", id)
}

func (b *bundle) delivery(t *testing.T, id string) db.Delivery {
	t.Helper()
	rows, err := b.Store.Pool.Query(t.Context(), "SELECT * FROM delivery WHERE id = $1", id)
	require.NoError(t, err)
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[db.Delivery])
	require.NoError(t, err)

	return d
}

func (b *bundle) attempts(t *testing.T, id string) []db.DeliveryAttempt {
	t.Helper()
	rows, err := b.Store.Pool.Query(t.Context(), "SELECT * FROM delivery_attempt WHERE delivery_id = $1 ORDER BY number", id)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[db.DeliveryAttempt])
	require.NoError(t, err)

	return all
}

func (b *bundle) endpointRow(t *testing.T) db.WebhookEndpoint {
	t.Helper()
	rows, err := b.Store.Pool.Query(t.Context(), "SELECT * FROM webhook_endpoint WHERE id = $1", b.endpoint)
	require.NoError(t, err)
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[db.WebhookEndpoint])
	require.NoError(t, err)

	return e
}

func TestAttemptSuccess(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	require.True(t, b.attempt(t, id).Done)

	d := b.delivery(t, id)
	require.Equal(t, "succeeded", d.Status)
	require.EqualValues(t, 1, d.Attempts)
	require.Nil(t, d.NextCheckAt)
	require.Nil(t, d.NextAttemptAt)
	require.NotNil(t, d.CompletedAt)
	attempts := b.attempts(t, id)
	require.Len(t, attempts, 1)
	require.EqualValues(t, 200, *attempts[0].StatusCode)
	require.Nil(t, attempts[0].Error)
	require.Equal(t, "answer", string(attempts[0].Response))
	require.Equal(t, []string{d.EventID}, r.seen())

	// R2: found done means done.
	require.True(t, b.attempt(t, id).Done)
	require.Len(t, r.seen(), 1)
	require.Len(t, b.attempts(t, id), 1)
}

func TestAttemptSendsStoredBytes(t *testing.T) {
	t.Parallel()
	var b *bundle
	older := webhooks.NewSecret()
	var verified atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body := make([]byte, req.ContentLength)
		_, _ = req.Body.Read(body)
		wh, _ := standard.NewWebhook(b.secret)
		old, _ := standard.NewWebhook(older)
		verified.Store(json.Valid(body) && wh.Verify(body, req.Header) == nil && old.Verify(body, req.Header) == nil)
	}))
	t.Cleanup(server.Close)
	b = setup(t, server.URL)
	overlap := "UPDATE webhook_endpoint SET previous_secret_sealed = $2, previous_secret_until = now() + $3::interval WHERE id = $1"
	b.exec(t, overlap, b.endpoint, b.Sealer.Seal(b.endpoint, older), "1 hour")
	require.True(t, b.attempt(t, b.event(t)[0]).Done)
	require.True(t, verified.Load(), "both secrets sign during the overlap")

	b.exec(t, overlap, b.endpoint, b.Sealer.Seal(b.endpoint, older), "-1 second")
	require.True(t, b.attempt(t, b.event(t)[0]).Done)
	require.False(t, verified.Load(), "the old secret no longer signs")
}

func TestAttemptFailsThenSucceeds(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500, 503, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	result := b.attempt(t, id)
	require.False(t, result.Done)
	require.Equal(t, 5*time.Second, result.NextIn)
	require.NotNil(t, b.endpointRow(t).FailingSince)
	d := b.delivery(t, id)
	require.Equal(t, "pending", d.Status)
	require.InDelta(t, 5, time.Until(*d.NextAttemptAt).Seconds(), 2)
	require.Equal(t, time.Minute, d.NextCheckAt.Sub(*d.NextAttemptAt))

	// Not yet due: nothing is sent.
	result = b.attempt(t, id)
	require.False(t, result.Done)
	require.InDelta(t, 5, result.NextIn.Seconds(), 2)
	require.Len(t, r.seen(), 1)

	r.header.Set("Retry-After", "7200")
	b.makeDue(t, id)
	require.Equal(t, 2*time.Hour, b.attempt(t, id).NextIn, "Retry-After beats the schedule")
	b.makeDue(t, id)
	require.True(t, b.attempt(t, id).Done)

	require.Equal(t, []string{d.EventID, d.EventID, d.EventID}, r.seen())
	attempts := b.attempts(t, id)
	require.Len(t, attempts, 3)
	require.Contains(t, *attempts[0].Error, "500")
	require.Contains(t, *attempts[1].Error, "503")
	require.Equal(t, "succeeded", b.delivery(t, id).Status)
	require.Nil(t, b.endpointRow(t).FailingSince, "a success ends the streak")
}

func TestAttemptNoAnswer(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	b := setup(t, r.URL)
	r.Close()
	id := b.event(t)[0]
	require.False(t, b.attempt(t, id).Done)
	attempts := b.attempts(t, id)
	require.Nil(t, attempts[0].StatusCode)
	require.Equal(t, "the connection was refused", *attempts[0].Error)
	require.Empty(t, attempts[0].Response)
}

func TestAttemptScheduleEnds(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	for range webhooks.MaxAttempts() - 1 {
		require.False(t, b.attempt(t, id).Done)
		b.makeDue(t, id)
	}
	require.True(t, b.attempt(t, id).Done)
	d := b.delivery(t, id)
	require.Equal(t, "failed", d.Status)
	require.EqualValues(t, webhooks.MaxAttempts(), d.Attempts)
	require.Nil(t, d.NextCheckAt)
	require.Equal(t, "enabled", b.endpointRow(t).Status)

	// A redelivery gets one attempt more.
	_, err := b.Store.MakeDeliveryDue(t.Context(), db.MakeDeliveryDueParams{ID: id, WorkspaceID: "ws_other"})
	require.ErrorIs(t, err, pgx.ErrNoRows)
	_, err = b.Store.MakeDeliveryDue(t.Context(), db.MakeDeliveryDueParams{ID: id, WorkspaceID: b.workspace})
	require.NoError(t, err)
	require.True(t, b.attempt(t, id).Done)
	require.Len(t, b.attempts(t, id), webhooks.MaxAttempts()+1)
	require.Equal(t, "failed", b.delivery(t, id).Status)
}

func TestAttemptGone(t *testing.T) {
	t.Parallel()
	r, other := newReceiver(t, 410), newReceiver(t, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	b.addEndpoint(t, other.URL, webhooks.NewSecret())
	require.True(t, b.attempt(t, id).Done)
	require.Equal(t, "failed", b.delivery(t, id).Status)
	require.Len(t, b.attempts(t, id), 1)
	require.Equal(t, "disabled", b.endpointRow(t).Status)

	// The workspace's other endpoint is told.
	require.Len(t, b.starter.started, 1)
	require.True(t, b.attempt(t, b.starter.started[0]).Done)
	require.Len(t, other.seen(), 1)
	var payload []byte
	require.NoError(t, b.Store.Pool.QueryRow(t.Context(),
		"SELECT payload FROM event WHERE type = 'webhook.endpoint_disabled' AND resource_id = $1", b.endpoint).Scan(&payload))
	require.Contains(t, string(payload), `"object":"webhook_endpoint"`)
	require.Contains(t, string(payload), `"status":"disabled"`)
	require.NotContains(t, string(payload), "secret")
}

func TestAttemptFiveDaysOfFailures(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500, 500, 200, 500)
	b := setup(t, r.URL)
	first, second := b.event(t)[0], b.event(t)[0]
	age := func(interval string) {
		b.exec(t, "UPDATE webhook_endpoint SET failing_since = now() - $2::interval WHERE id = $1", b.endpoint, interval)
	}
	age("4 days 23 hours")
	require.False(t, b.attempt(t, first).Done)
	require.Equal(t, "enabled", b.endpointRow(t).Status)
	age("5 days")
	require.True(t, b.attempt(t, second).Done)
	endpoint := b.endpointRow(t)
	require.Equal(t, "disabled", endpoint.Status)
	require.Nil(t, endpoint.FailingSince, "enabled again it starts afresh")
	require.Equal(t, "failed", b.delivery(t, second).Status)

	// What waits finds the endpoint disabled.
	b.makeDue(t, first)
	require.True(t, b.attempt(t, first).Done)
	require.Equal(t, "failed", b.delivery(t, first).Status)
	require.Len(t, r.seen(), 2)
}

func TestAttemptEndpointClosed(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"disabled": "UPDATE webhook_endpoint SET status = 'disabled' WHERE id = $1",
		"deleted":  "UPDATE webhook_endpoint SET deleted_at = now() WHERE id = $1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, 200)
			b := setup(t, r.URL)
			id := b.event(t)[0]
			b.exec(t, sql, b.endpoint)
			require.True(t, b.attempt(t, id).Done)
			d := b.delivery(t, id)
			require.Equal(t, "failed", d.Status)
			require.Zero(t, d.Attempts)
			require.Empty(t, r.seen())
		})
	}
}

func TestAttemptTwoAtOnce(t *testing.T) {
	t.Parallel()
	// Whoever records first, a success wins and nothing is counted twice.
	for name, tt := range map[string]struct {
		statuses []int
		status   string
		least    int32
		most     int32
	}{
		"both succeed":     {[]int{200, 200}, "succeeded", 1, 1},
		"both fail":        {[]int{500, 500}, "pending", 1, 1},
		"one of each":      {[]int{500, 200}, "succeeded", 1, 2},
		"the other order":  {[]int{200, 500}, "succeeded", 1, 2},
		"gone and success": {[]int{410, 200}, "succeeded", 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, tt.statuses...)
			r.hold = make(chan struct{})
			b := setup(t, r.URL)
			id := b.event(t)[0]
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					_, err := b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id})
					if err != nil {
						t.Error(err)
					}
				})
			}
			<-r.arrived
			<-r.arrived
			close(r.hold)
			wg.Wait()
			d := b.delivery(t, id)
			require.Equal(t, tt.status, d.Status)
			require.GreaterOrEqual(t, d.Attempts, tt.least)
			require.LessOrEqual(t, d.Attempts, tt.most)
			require.Len(t, b.attempts(t, id), int(d.Attempts))
			require.Equal(t, []string{d.EventID, d.EventID}, r.seen(), "the same event, the same id")
		})
	}
}

// TestAttemptCrashBeforeRecord loses the process between sending and recording:
// the receiver gets the same event again.
func TestAttemptCrashBeforeRecord(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	row, err := b.load(t.Context(), id)
	require.NoError(t, err)
	request, err := b.request(row)
	require.NoError(t, err)
	_, err = b.Sender.Send(t.Context(), request)
	require.NoError(t, err)

	require.True(t, b.attempt(t, id).Done)
	d := b.delivery(t, id)
	require.EqualValues(t, 1, d.Attempts)
	require.Equal(t, []string{d.EventID, d.EventID}, r.seen())
}

func TestAttemptCutShort(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	r.hold = make(chan struct{})
	b := setup(t, r.URL)
	id := b.event(t)[0]
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-r.arrived
		cancel()
	}()
	_, err := b.AttemptDelivery(ctx, workflows.DeliveryInput{DeliveryID: id})
	require.Error(t, err)
	close(r.hold)
	require.Zero(t, b.delivery(t, id).Attempts, "our own end is no attempt")
}

func TestAttemptErrors(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	b := setup(t, r.URL)
	_, err := b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: "dlv_missing"})
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, workflows.ErrTypeRowMissing, app.Type())
	require.True(t, app.NonRetryable())

	id := b.event(t)[0]
	b.exec(t, "UPDATE webhook_endpoint SET secret_sealed = 'rubbish'")
	_, err = b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id})
	require.ErrorIs(t, err, webhooks.ErrSeal)
	require.Empty(t, r.seen())

	b.Store.Pool.Close()
	_, err = b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id})
	require.Error(t, err)
	require.NotErrorAs(t, err, &app, "Postgres away is retryable")
}

// TestAttemptSlowEndpoint fills the slots of one endpoint: its other deliveries
// come back later, uncounted, and another endpoint is not delayed.
func TestAttemptSlowEndpoint(t *testing.T) {
	t.Parallel()
	slow, healthy := newReceiver(t, 200), newReceiver(t, 200)
	slow.hold = make(chan struct{})
	b := setup(t, slow.URL)
	b.SlotsPerEndpoint = 2
	var wg sync.WaitGroup
	for range 2 {
		id := b.event(t)[0]
		wg.Go(func() {
			_, err := b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id})
			if err != nil {
				t.Error(err)
			}
		})
	}
	<-slow.arrived
	<-slow.arrived
	third := b.event(t)[0]
	result := b.attempt(t, third)
	require.False(t, result.Done)
	require.Equal(t, assumedAttempt/2, result.NextIn)
	waiting := b.delivery(t, third)
	require.Zero(t, waiting.Attempts)
	require.Equal(t, "pending", waiting.Status)
	require.InDelta(t, result.NextIn.Seconds(), time.Until(*waiting.NextAttemptAt).Seconds(), 1)
	require.Equal(t, time.Minute, waiting.NextCheckAt.Sub(*waiting.NextAttemptAt), "the sweeper leaves it alone")

	b.addEndpoint(t, healthy.URL, webhooks.NewSecret())
	for _, id := range b.event(t) {
		b.attempt(t, id)
	}
	require.Len(t, healthy.seen(), 1)
	close(slow.hold)
	wg.Wait()
	require.False(t, b.attempt(t, third).Done, "not due yet")
	b.makeDue(t, third)
	require.True(t, b.attempt(t, third).Done)
	require.Zero(t, b.slots.running)
}

func TestOverdueDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t, "http://127.0.0.1:1/")
	id := b.event(t)[0]
	overdue := func() []string {
		ids, err := b.Store.OverdueDeliveries(t.Context(), 10)
		require.NoError(t, err)

		return ids
	}
	require.Empty(t, overdue())
	b.exec(t, "UPDATE delivery SET next_check_at = now() - interval '59 seconds'")
	require.Empty(t, overdue())
	b.exec(t, "UPDATE delivery SET next_check_at = now() - interval '61 seconds'")
	require.Equal(t, []string{id}, overdue())
}
