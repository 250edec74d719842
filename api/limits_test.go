package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// limited gives a server limits.
func limited(limits config.Limits) func(*api.Options) {
	return func(o *api.Options) {
		env := o.Environments[payments.Sandbox]
		env.Limits = limits
		o.Environments[payments.Sandbox] = env
	}
}

// second starts another server on the bench's database.
func (b *bench) second() string {
	b.t.Helper()
	cfg := config.Defaults().API
	server, err := api.New(api.Options{
		Config: cfg, Environments: map[payments.Environment]api.Environment{payments.Sandbox: b.environment},
	})
	require.NoError(b.t, err)
	listener := httptest.NewServer(server.Handler())
	b.t.Cleanup(listener.Close)

	return listener.URL
}

// empty takes all tokens out of the buckets for as long as the test may run on a
// busy machine; fill ends that.
func (b *bench) empty() {
	b.t.Helper()
	_, err := b.store.Pool.Exec(b.t.Context(), "UPDATE rate_bucket SET tokens = 0, refilled_at = now() + interval '50 s'")
	require.NoError(b.t, err)
}

func (b *bench) fill() {
	b.t.Helper()
	_, err := b.store.Pool.Exec(b.t.Context(), "UPDATE rate_bucket SET refilled_at = now() - interval '1 hour'")
	require.NoError(b.t, err)
}

// untilLimited sends a request until it is refused by a rate.
func (b *bench) untilLimited(path string, options ...option) reply {
	b.t.Helper()
	for range 50 {
		if answer := b.get(path, options...); answer.status == http.StatusTooManyRequests {
			return answer
		}
	}
	b.t.Fatal("never limited")

	return reply{}
}

// TestKeyRate: two servers share what a key may do; a refusal says when to come
// back, writes nothing and is not what a repeat gets.
func TestKeyRate(t *testing.T) {
	t.Parallel()
	b := setup(t, limited(config.Limits{KeyPerSecond: 1, KeyBurst: 3}))
	urls := []string{b.url, b.second()}
	for i := range 3 {
		b.url = urls[i%2]
		answer := b.get("/v1/charges")
		require.Equal(t, http.StatusOK, answer.status)
		require.Equal(t, `"key";q=3;w=3`, answer.header.Get("RateLimit-Policy"))
		require.Regexp(t, `^"key";r=[0-2]$`, answer.header.Get("RateLimit"))
	}
	b.empty()
	b.writesNothing(func() {
		answer := b.post("/v1/charges", `{"amount_sats":1}`, idempotent("limited"))
		b.refused(answer, payments.CodeRateLimited)
		require.Equal(t, "1", answer.header.Get("Retry-After"))
		require.Equal(t, `"key";r=0;t=1`, answer.header.Get("RateLimit"))
	})
	// Another key of the workspace is not held up.
	other := b.newKey(b.workspace, nil, apikey.ChargesRead)
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withKey(other)).status)
	b.fill()
	require.Eventually(t, func() bool {
		return b.post("/v1/charges", `{"amount_sats":1}`, idempotent("limited")).status == http.StatusCreated
	}, 5*time.Second, 100*time.Millisecond)
	recorder := httptest.NewRecorder()
	b.server.OperatorHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Regexp(t, `lntpay_rate_limited_total\{by="key"\} \d`, recorder.Body.String())
}

// TestWorkspaceRate: all keys of a workspace share its rate, and a request that
// it refuses costs the key nothing.
func TestWorkspaceRate(t *testing.T) {
	t.Parallel()
	b := setup(t, limited(config.Limits{KeyPerSecond: 1, KeyBurst: 3, WorkspacePerSecond: 1, WorkspaceBurst: 2}))
	one, other := b.newKey(b.workspace, nil, apikey.ChargesRead), b.newKey(b.workspace, nil, apikey.ChargesRead)
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withKey(one)).status)
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withKey(other)).status)
	_, err := b.store.Pool.Exec(t.Context(), "UPDATE rate_bucket SET tokens = 0, refilled_at = now() + interval '50 s' WHERE id = $1",
		"workspace/"+b.workspace)
	require.NoError(t, err)
	answer := b.get("/v1/charges", withKey(one))
	b.refused(answer, payments.CodeRateLimited)
	require.Regexp(t, `^"key";r=\d, "workspace";r=0;t=1$`, answer.header.Get("RateLimit"))
	stranger := b.newKey(b.newWorkspace(), nil, apikey.ChargesRead)
	require.Equal(t, http.StatusOK, b.get("/v1/charges", withKey(stranger)).status)
}

// TestWithdrawalsRate: withdrawals and quotes have a rate of their own.
func TestWithdrawalsRate(t *testing.T) {
	t.Parallel()
	b := setup(t, limited(config.Limits{WithdrawalsPerSecond: 1, WithdrawalsBurst: 1}))
	b.refused(b.post("/v1/withdrawals/quote", `{}`), payments.CodeInvalidRequest)
	b.empty()
	b.refused(b.post("/v1/withdrawals", `{}`, idempotent("a")), payments.CodeRateLimited)
	require.Equal(t, http.StatusOK, b.get("/v1/withdrawals").status)
	b.charge(`{"amount_sats":1}`)
}

// TestOwnRate: what an operator sets for a workspace holds in place of the
// settings, within seconds.
func TestOwnRate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusOK, b.get("/v1/charges").status)
	by, one := store.Operator{Name: "anna", Reason: "floods us"}, int64(1)
	_, err := b.store.SetLimits(t.Context(), b.workspace, map[string]*int64{
		store.LimitWorkspacePerSecond: &one, store.LimitWorkspaceBurst: &one,
	}, by)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.get("/v1/charges").status == http.StatusTooManyRequests },
		10*time.Second, 50*time.Millisecond)
}

// TestWaitsAreBounded: one key does not take all long-polls and streams.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, limited(config.Limits{KeyWaits: 1, WorkspaceWaits: 2}))
	id := b.charge(`{"amount_sats":1}`)
	other, third := b.newKey(b.workspace, nil, apikey.ChargesRead), b.newKey(b.workspace, nil, apikey.ChargesRead)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, key := range []string{b.key, other} {
		all.Go(func() {
			_, _ = b.try(http.MethodGet, "/v1/charges/"+id+"?wait=60", "", withKey(key), func(r *http.Request) { *r = *r.WithContext(ctx) })
		})
	}
	b.awaitLongPolls(t, 2)
	b.refused(b.get("/v1/charges/"+id+"?wait=1"), payments.CodeRateLimited)
	b.refused(b.get("/v1/events/stream"), payments.CodeRateLimited)
	b.refused(b.get("/v1/charges/"+id+"?wait=1", withKey(third)), payments.CodeRateLimited)
	require.Equal(t, http.StatusOK, b.get("/v1/charges/"+id).status)
	cancel()
	all.Wait()
	require.Eventually(t, func() bool { return b.get("/v1/charges/"+id+"?wait=1").status == http.StatusOK },
		10*time.Second, 20*time.Millisecond)
}

// TestUnauthorizedIsBounded: an address that sends bad keys is told to wait;
// what has a key that was good here goes on.
func TestUnauthorizedIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.Config.UnauthorizedPerSecond, o.Config.UnauthorizedBurst = 1, 2
		o.Config.TrustedProxies = []string{"127.0.0.0/8"}
	})
	from := func(addresses string) option { return withHeader("X-Forwarded-For", addresses) }
	require.Equal(t, http.StatusOK, b.get("/v1/charges", from("192.0.2.1")).status)
	for range 2 {
		b.refused(b.get("/v1/charges", withKey("bad"), from("192.0.2.1")), payments.CodeUnauthorized)
	}
	// What a client writes itself is to the left of what the proxy adds.
	answer := b.untilLimited("/v1/charges", withKey("bad"), from("198.51.100.7, 192.0.2.1"))
	b.refused(answer, payments.CodeRateLimited)
	require.NotEmpty(t, answer.header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, b.get("/v1/charges", from("192.0.2.1")).status)
	b.refused(b.get("/v1/charges", withKey("bad"), from("192.0.2.2")), payments.CodeUnauthorized)
	for i := range 2 { // A customer's IPv6 network counts as one address.
		b.refused(b.get("/v1/charges", withKey("bad"), from(fmt.Sprintf("2001:db8::%d", i))), payments.CodeUnauthorized)
	}
	b.untilLimited("/v1/charges", withKey("bad"), from("2001:db8::ffff"))
}

// TestOpenCharges: a workspace has so many open charges; a refusal is not
// remembered, and a repeat of what was made gets its answer.
func TestOpenCharges(t *testing.T) {
	t.Parallel()
	b := setup(t, limited(config.Limits{OpenCharges: 2}))
	first := b.charge(`{"amount_sats":1}`, idempotent("first"))
	b.charge(`{"amount_sats":1}`)
	b.writesNothing(func() {
		b.refused(b.post("/v1/charges", `{"amount_sats":1}`, idempotent("third")), payments.CodeLimitExceeded)
		b.refused(b.post("/v1/l402/challenges", `{"amount_sats":1,"resource":"/x"}`), payments.CodeLimitExceeded)
		require.Equal(t, first, b.charge(`{"amount_sats":1}`, idempotent("first")))
	})
	b.object(b.post("/v1/charges/"+first+"/cancel", ""), http.StatusOK)
	require.Eventually(t, func() bool {
		return b.post("/v1/charges", `{"amount_sats":1}`, idempotent("third")).status == http.StatusCreated
	}, 10*time.Second, 50*time.Millisecond)
}
