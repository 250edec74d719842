package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/payments"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = `{"amount_sats":5}`
	first := b.post("/v1/charges", body, idempotent("k 1~"))
	require.Equal(t, http.StatusCreated, first.status)
	require.Empty(t, first.header.Get("Idempotent-Replayed"))
	b.charges.pay(t, b.object(first, http.StatusCreated)["id"].(string), 5000)
	b.writesNothing(func() {
		again := b.post("/v1/charges", body, idempotent("k 1~"))
		require.Equal(t, first.status, again.status)
		require.Equal(t, first.body, again.body, "the body as at creation, byte by byte")
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.NotEqual(t, first.header.Get("X-Request-Id"), again.header.Get("X-Request-Id"))

		b.refused(b.post("/v1/charges", body+" ", idempotent("k 1~")), payments.CodeIdempotencyKeyReused)
		b.refused(b.post("/v1/charges", `{"amount_sats":6}`, idempotent("k 1~")), payments.CodeIdempotencyKeyReused)
	})
	require.Equal(t, 1, b.charges.count())

	// Another key, no key, another workspace: other charges.
	others := []reply{
		b.post("/v1/charges", body, idempotent("k 2")), b.post("/v1/charges", body), b.post("/v1/charges", body),
		b.post("/v1/charges", body, idempotent("k 1~"), withKey(b.newKey(b.newWorkspace(), nil, "charges:write"))),
		// Not the key but the workspace is the scope: this one is a replay.
		b.post("/v1/charges", body, idempotent("k 1~"), withKey(b.newKey(b.workspace, nil, "charges:write"))),
	}
	seen := map[string]bool{first.body: true}
	for _, other := range others {
		require.Equal(t, http.StatusCreated, other.status)
		seen[other.body] = true
	}
	require.Len(t, seen, len(others))
}

// TestConcurrentRepeats: 64 at once make one charge, one attempt and equal
// bodies; one of them is the first.
func TestConcurrentRepeats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.charges.plan(slowly)
	replies := make([]reply, 64)
	errs := make([]error, len(replies))
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			replies[i], errs[i] = b.try(http.MethodPost, "/v1/charges", `{"amount_sats":5}`, idempotent("k"))
		})
	}
	all.Wait()
	first := 0
	for i, answer := range replies {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusCreated, answer.status, answer.body)
		require.Equal(t, replies[0].body, answer.body)
		if answer.header.Get("Idempotent-Replayed") == "" {
			first++
		}
	}
	require.Equal(t, 1, first)
	require.Equal(t, 1, b.charges.count())
	require.Equal(t, 1, b.rows()["charge"])
	require.Equal(t, 1, b.rows()["claim"])
}

// TestUnknownOutcome: an attempt that failed before or after its commit is
// 503, and a repeat finds out, under the same id.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]step{"before": failBefore, "after": failAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.charges.plan(fails, failBefore)
			for range 2 {
				answer := b.post("/v1/charges", `{"amount_sats":5}`, idempotent("k"))
				if name == "after" && answer.status == http.StatusCreated {
					break // The second attempt found the answer.
				}
				b.refused(answer, payments.CodeServiceUnavailable)
				require.NotEmpty(t, answer.header.Get("Retry-After"))
				require.NotContains(t, answer.body, "temporal")
				require.NotContains(t, answer.body, "10.0.0.7")
			}
			repeat := b.post("/v1/charges", `{"amount_sats":5}`, idempotent("k"))
			require.Equal(t, http.StatusCreated, repeat.status)
			require.Equal(t, "true", repeat.header.Get("Idempotent-Replayed"))
			require.Equal(t, 1, b.rows()["charge"])
			require.Equal(t, 1, b.rows()["claim"])
		})
	}
}

// TestFrozenRefusal: what the workflow refused is replayed, with the request
// id of the first.
func TestFrozenRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.charges.refuse = payments.NewProblem(payments.CodeAmountOutOfRange, "Not today.")
	first := b.post("/v1/charges", `{"amount_sats":5}`, idempotent("k"), withHeader("X-Request-Id", "first"))
	require.Equal(t, "first", b.refused(first, payments.CodeAmountOutOfRange)["request_id"])
	again := b.post("/v1/charges", `{"amount_sats":5}`, idempotent("k"))
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.header.Get("Content-Type"), again.header.Get("Content-Type"))
}

func TestIdempotencyKeyForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.writesNothing(func() {
		for _, key := range []string{"", strings.Repeat("k", 256), "ключ", "a\tb"} {
			b.refused(b.post("/v1/charges", `{"amount_sats":5}`, idempotent(key)), payments.CodeInvalidRequest)
		}
		twice := func(r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }
		b.refused(b.post("/v1/charges", `{"amount_sats":5}`, twice), payments.CodeInvalidRequest)
	})
	require.Equal(t, http.StatusCreated, b.post("/v1/charges", `{"amount_sats":5}`, idempotent(strings.Repeat("k", 255))).status)
}

// TestTooMuchInFlight: past the bound the answer comes within two seconds and
// nothing is written.
func TestTooMuchInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Config.MaxInFlight = 1 })
	release := make(chan struct{})
	b.charges.plan(func(work func() error) error { <-release; return work() })
	first := make(chan reply, 1)
	go func() {
		answer, _ := b.try(http.MethodPost, "/v1/charges", `{"amount_sats":1}`)
		first <- answer
	}()
	require.Eventually(t, func() bool { return b.charges.count() == 1 }, 5*time.Second, 5*time.Millisecond)
	b.writesNothing(func() {
		started := time.Now()
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				answer, err := b.try(http.MethodPost, "/v1/charges", `{"amount_sats":1}`)
				if err != nil || answer.status != http.StatusServiceUnavailable {
					t.Errorf("want 503, got %d %v", answer.status, err)
				}
			})
		}
		all.Wait()
		require.Less(t, time.Since(started), 3*time.Second)
	})
	close(release)
	require.Equal(t, http.StatusCreated, (<-first).status)
}
