package activities

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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
	bodies   []string
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
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.ids = append(r.ids, req.Header.Get("webhook-id"))
	r.bodies = append(r.bodies, string(body))
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

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	return append([]string(nil), r.bodies...)
}

// requireSame checks that an event came so often, each time the same bytes.
func (r *receiver) requireSame(t *testing.T, eventID string, times int) {
	t.Helper()
	require.Equal(t, slices.Repeat([]string{eventID}, times), r.seen())
	bodies := r.got()
	require.Equal(t, slices.Repeat(bodies[:1], times), bodies)
	require.Contains(t, bodies[0], eventID)
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
			Sender: newSender(t, webhooks.Policy{AllowPrivate: true}, 2*time.Second),
			Jitter: func() float64 { return 0.5 },
		},
		starter: st, workspace: storetest.Workspace(t, s), secret: webhooks.NewSecret(),
	}
	b.endpoint = b.addEndpoint(t, url, b.secret)

	return b
}

func newSender(t *testing.T, p webhooks.Policy, timeout time.Duration) *webhooks.Sender {
	t.Helper()
	s := webhooks.NewSender(p, webhooks.Options{Timeout: timeout})
	t.Cleanup(s.Close)

	return s
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

// signedWith says by what secrets a delivery is signed, of those given by name:
// x-lntpay-signature first.
func signedWith(header http.Header, body []byte, secrets map[string]string) (own string, standards []string) {
	for name, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(body)
		if header.Get("x-lntpay-signature") == hex.EncodeToString(mac.Sum(nil)) {
			own = name
		}
		if wh, err := standard.NewWebhook(secret); err == nil && wh.Verify(body, header) == nil {
			standards = append(standards, name)
		}
	}
	slices.Sort(standards)

	return own, standards
}

// TestAttemptRotation: during the overlap both secrets sign, in the header that
// has room for both; the other one goes over to the new when it ends.
func TestAttemptRotation(t *testing.T) {
	t.Parallel()
	type delivery struct {
		header http.Header
		body   []byte
	}
	got := make(chan delivery, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got <- delivery{req.Header, body}
	}))
	t.Cleanup(server.Close)
	b := setup(t, server.URL)
	secrets := map[string]string{"old": webhooks.NewSecret(), "new": b.secret}
	for _, tt := range []struct {
		left      string
		own       string
		standards []string
	}{
		{"1 hour", "old", []string{"new", "old"}},
		{"-1 second", "new", []string{"new"}},
	} {
		b.exec(t, "UPDATE webhook_endpoint SET previous_secret_sealed = $2, previous_secret_until = now() + $3::interval WHERE id = $1",
			b.endpoint, b.Sealer.Seal(b.endpoint, secrets["old"]), tt.left)
		id := b.event(t)[0]
		require.True(t, b.attempt(t, id).Done)
		one := <-got
		own, standards := signedWith(one.header, one.body, secrets)
		require.Equal(t, tt.own, own)
		require.Equal(t, tt.standards, standards)
		require.Len(t, strings.Fields(one.header.Get("webhook-signature")), len(tt.standards))
		var payload []byte
		require.NoError(t, b.Store.Pool.QueryRow(t.Context(),
			"SELECT payload FROM event WHERE id = $1", b.delivery(t, id).EventID).Scan(&payload))
		require.Equal(t, payload, one.body, "the stored bytes")
	}
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

	r.requireSame(t, d.EventID, 3)
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

// TestAttemptFailures: whatever goes wrong is recorded, and the next attempt is
// when the schedule or the receiver says.
func TestAttemptFailures(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	silence := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	inAnHour := func(w http.ResponseWriter, r *http.Request) {
		status(503, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))(w, r)
	}
	open := webhooks.Policy{AllowPrivate: true}
	tests := map[string]struct {
		policy  webhooks.Policy
		handler http.HandlerFunc
		status  int32
		err     string
		next    time.Duration
	}{
		"500":                      {open, status(500), 500, "answered 500", 5 * time.Second},
		"redirect to the metadata": {open, status(302, "Location", "http://169.254.169.254/"), 302, "redirects are not followed", 5 * time.Second},
		"a private address":        {webhooks.Policy{}, status(200), 0, webhooks.ErrURLNotAllowed.Error(), 5 * time.Second},
		"no answer":                {open, silence, 0, "no answer within 300ms", 5 * time.Second},
		"slow body": {open, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("..."))
			_ = http.NewResponseController(w).Flush()
			silence(w, r)
		}, 200, "did not finish its answer", 5 * time.Second},
		"reset": {open, func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
			}
		}, 0, "the connection was", 5 * time.Second},
		"later":           {open, status(503, "Retry-After", "3600"), 503, "answered 503", time.Hour},
		"later, a date":   {open, inAnHour, 503, "answered 503", time.Hour},
		"sooner":          {open, status(503, "Retry-After", "1"), 503, "answered 503", 5 * time.Second},
		"too late":        {open, status(429, "Retry-After", "86401"), 429, "answered 429", 24 * time.Hour},
		"too late a date": {open, status(429, "Retry-After", "Fri, 01 Jan 2199 00:00:00 GMT"), 429, "answered 429", 24 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.handler)
			t.Cleanup(server.Close)
			b := setup(t, server.URL)
			b.Sender = newSender(t, tt.policy, timeout)
			id := b.event(t)[0]
			result := b.attempt(t, id)
			require.False(t, result.Done)
			require.InDelta(t, tt.next.Seconds(), result.NextIn.Seconds(), 2)
			require.NotNil(t, b.endpointRow(t).FailingSince)
			d := b.delivery(t, id)
			require.Equal(t, "pending", d.Status)
			require.InDelta(t, result.NextIn.Seconds(), time.Until(*d.NextAttemptAt).Seconds(), 2)
			attempts := b.attempts(t, id)
			require.Len(t, attempts, 1)
			require.Contains(t, *attempts[0].Error, tt.err)
			if tt.status == 0 {
				require.Nil(t, attempts[0].StatusCode)
			} else {
				require.Equal(t, tt.status, *attempts[0].StatusCode)
			}
		})
	}
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

	b.requireTold(t, other)
}

// requireTold checks that the workspace's other endpoint, and nobody else, is
// told that the first one is disabled.
func (b *bundle) requireTold(t *testing.T, other *receiver) {
	t.Helper()
	require.Len(t, b.starter.started, 1)
	require.True(t, b.attempt(t, b.starter.started[0]).Done)
	bodies := other.got()
	require.Len(t, bodies, 1)
	require.Contains(t, bodies[0], `"type":"webhook.endpoint_disabled"`)
	require.Contains(t, bodies[0], `"object":"webhook_endpoint"`)
	require.Contains(t, bodies[0], `"id":"`+b.endpoint+`"`)
	require.Contains(t, bodies[0], `"status":"disabled"`)
	require.NotContains(t, bodies[0], "secret")
}

func TestAttemptFiveDaysOfFailures(t *testing.T) {
	t.Parallel()
	r, other := newReceiver(t, 500, 500, 200, 500), newReceiver(t, 200)
	b := setup(t, r.URL)
	first, second := b.event(t)[0], b.event(t)[0]
	b.addEndpoint(t, other.URL, webhooks.NewSecret())
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
	b.requireTold(t, other)
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
	r.requireSame(t, d.EventID, 2)
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
	require.True(t, b.attempt(t, id).Done)
	r.requireSame(t, b.delivery(t, id).EventID, 2)
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
	require.Greater(t, result.NextIn, time.Duration(0))
	require.LessOrEqual(t, result.NextIn, 10*time.Second)
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

// TestFirstAttemptAfterPostgresClockWentBack: a first attempt that waited until the
// clock was again where it had been when the event was written was late by as much.
func TestFirstAttemptAfterPostgresClockWentBack(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	b.exec(t, `UPDATE delivery SET created_at = created_at + interval '1 hour', next_attempt_at = next_attempt_at + interval '1 hour',
		next_check_at = next_check_at + interval '1 hour' WHERE id = $1`, id)
	require.False(t, b.attempt(t, id).Done)
	require.Len(t, r.seen(), 1)
	require.False(t, b.attempt(t, id).Done, "the second is not due yet")
	require.Len(t, r.seen(), 1)
}

// TestAttemptNow: whoever asks for an attempt now does not wait until it is due;
// a delivery that is over stays over.
func TestAttemptNow(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	now := func() workflows.AttemptResult {
		result, err := b.AttemptDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id, Now: true})
		require.NoError(t, err)

		return result
	}
	require.False(t, b.attempt(t, id).Done)
	require.False(t, b.attempt(t, id).Done, "not due yet")
	require.Len(t, r.seen(), 1)
	require.True(t, now().Done)
	require.True(t, now().Done)
	require.Len(t, r.seen(), 2)
}

// TestCancelDelivery: what an operator cancels is over for the sweeper too, and
// what was over stays as it was.
func TestCancelDelivery(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	b := setup(t, r.URL)
	id := b.event(t)[0]
	cancel := func() { require.NoError(t, b.CancelDelivery(t.Context(), workflows.DeliveryInput{DeliveryID: id})) }
	cancel()
	require.Equal(t, "failed", b.delivery(t, id).Status)
	require.True(t, b.attempt(t, id).Done)
	require.Empty(t, r.seen())
	_, err := b.Store.MakeDeliveryDue(t.Context(), db.MakeDeliveryDueParams{ID: id, WorkspaceID: b.workspace})
	require.NoError(t, err)
	require.True(t, b.attempt(t, id).Done)
	cancel()
	require.Equal(t, "succeeded", b.delivery(t, id).Status)
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
