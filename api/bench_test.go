package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/api/conformance"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/webhooks"
)

// bench is an API over a real database and a fake orchestrator.
type bench struct {
	t       testing.TB
	store   *store.Store
	charges *fakeCharges
	payouts *fakeWithdrawals
	hooks   *fakeDeliveries
	sandbox *fakeSandbox
	sealer  *webhooks.Sealer
	server  *api.Server
	// environment is what the server has of sandbox.
	environment api.Environment
	url         string
	client      *http.Client
	workspace   string
	// key has every scope.
	key string
}

// setup starts a bench. Every exchange is held to openapi.yaml.
func setup(t testing.TB, change ...func(*api.Options)) *bench {
	t.Helper()
	s := storetest.New(t)
	sealer, err := webhooks.NewSealer([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	b := &bench{
		t: t, store: s, charges: &fakeCharges{store: s}, payouts: &fakeWithdrawals{store: s}, hooks: &fakeDeliveries{}, sandbox: &fakeSandbox{store: s},
		sealer: sealer, client: conformance.Client(t),
	}
	require.NoError(t, s.PinNode(t.Context(), db.PinNodeParams{Name: "test", Pubkey: pubkey(ownKey), Network: "regtest"}))
	options := api.Options{
		Config: config.Defaults().API,
		Environments: map[payments.Environment]api.Environment{
			payments.Sandbox: {
				Store: s, Charges: b.charges, Withdrawals: b.payouts, Deliveries: b.hooks, Sandbox: b.sandbox,
				Payouts: config.DefaultPayouts(), Sealer: sealer,
			},
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	options.Config.DrainMS, options.Config.UnauthorizedPerSecond = 0, 0
	for _, c := range change {
		c(&options)
	}
	b.environment = options.Environments[payments.Sandbox]
	b.server, err = api.New(options)
	require.NoError(t, err)
	listener := httptest.NewServer(b.server.Handler())
	t.Cleanup(listener.Close)
	b.url = listener.URL
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); b.server.Watch(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	b.workspace = b.newWorkspace()
	b.key = b.newKey(b.workspace, nil, apikey.Scopes()...)

	return b
}

func (b *bench) newWorkspace() string {
	b.t.Helper()
	workspace, err := b.store.AddWorkspace(b.t.Context(), "test")
	require.NoError(b.t, err)

	return workspace.ID
}

func (b *bench) newKey(workspace string, expiresAt *time.Time, scopes ...apikey.Scope) string {
	b.t.Helper()
	var texts []string
	for _, scope := range scopes {
		texts = append(texts, string(scope))
	}
	_, secret, err := apikey.CreateKey(b.t.Context(), b.store, store.Operator{Name: "test", Reason: "test"}, workspace, "test", texts, expiresAt)
	require.NoError(b.t, err)

	return secret
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// option changes a request.
type option func(*http.Request)

func withKey(key string) option {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
}

func withHeader(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func idempotent(key string) option { return withHeader("Idempotency-Key", key) }

// do sends a request with the key of every scope.
func (b *bench) do(method, path, body string, options ...option) reply {
	b.t.Helper()
	answer, err := b.try(method, path, body, options...)
	require.NoError(b.t, err)

	return answer
}

// try is do for other goroutines.
func (b *bench) try(method, path, body string, options ...option) (reply, error) {
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Authorization", "Bearer "+b.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, option := range options {
		option(request)
	}
	response, err := b.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)

	return reply{response.StatusCode, response.Header, string(text)}, err
}

func (b *bench) get(path string, options ...option) reply {
	b.t.Helper()

	return b.do(http.MethodGet, path, "", options...)
}

func (b *bench) post(path, body string, options ...option) reply {
	b.t.Helper()

	return b.do(http.MethodPost, path, body, options...)
}

// object decodes an answer that must have the status.
func (b *bench) object(answer reply, status int) map[string]any {
	b.t.Helper()
	require.Equal(b.t, status, answer.status, answer.body)
	var object map[string]any
	require.NoError(b.t, json.Unmarshal([]byte(answer.body), &object))

	return object
}

// refused checks for the problem of a code.
func (b *bench) refused(answer reply, code payments.Code) map[string]any {
	b.t.Helper()
	problem := b.object(answer, payments.NewProblem(code, "").Status)
	require.Equal(b.t, string(code), problem["code"], answer.body)

	return problem
}

// charge makes a pending charge and returns its id.
func (b *bench) charge(body string, options ...option) string {
	b.t.Helper()

	return b.object(b.post("/v1/charges", body, options...), http.StatusCreated)["id"].(string)
}

// ids are those of a list's data.
func (b *bench) list(answer reply) (ids []string, cursor string) {
	b.t.Helper()
	page := b.object(answer, http.StatusOK)
	for _, item := range page["data"].([]any) {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	cursor, _ = page["next_cursor"].(string)
	require.Equal(b.t, page["has_more"], cursor != "")

	return ids, cursor
}

// pages are the ids of a whole list, read page by page.
func (b *bench) pages(path string) (all []string) {
	b.t.Helper()
	for next := path; ; {
		ids, cursor := b.list(b.get(next))
		if all = append(all, ids...); cursor == "" {
			return all
		}
		next = path + "&cursor=" + cursor
	}
}

// rows counts everything that a request could have written.
func (b *bench) rows() map[string]int {
	b.t.Helper()
	counts := map[string]int{}
	for _, table := range []string{"claim", "charge", "withdrawal", "api_key", "webhook_endpoint", "event", "transfer", "delivery"} {
		var count int
		require.NoError(b.t, b.store.Pool.QueryRow(b.t.Context(), "SELECT count(*) FROM "+table).Scan(&count))
		counts[table] = count
	}

	return counts
}

// writesNothing runs a check that must leave every table as it was.
func (b *bench) writesNothing(check func()) {
	b.t.Helper()
	before := b.rows()
	check()
	require.Equal(b.t, before, b.rows())
}
