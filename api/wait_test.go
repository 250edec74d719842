package api_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

func TestWaitWakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.charge(`{"amount_sats":5}`)
	replies := make([]reply, 8)
	errs := make([]error, len(replies))
	started := time.Now()
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() { replies[i], errs[i] = b.try(http.MethodGet, "/v1/charges/"+id+"?wait=60", "") })
	}
	b.awaitLongPolls(t, len(replies))
	b.charges.pay(t, id, 6000)
	all.Wait()
	require.Less(t, time.Since(started), 10*time.Second)
	for i, answer := range replies {
		require.NoError(t, errs[i])
		charge := b.object(answer, http.StatusOK)
		require.Equal(t, "paid", charge["status"])
		require.EqualValues(t, 6000, charge["amount_paid_msat"])
		require.NotNil(t, charge["paid_at"])
	}
	// What is closed is answered at once.
	started = time.Now()
	require.Equal(t, http.StatusOK, b.get("/v1/charges/"+id+"?wait=60").status)
	require.Less(t, time.Since(started), 5*time.Second)
}

// TestWaitEnds: after its time the answer is the charge as it is.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.charge(`{"amount_sats":5}`)
	started := time.Now()
	charge := b.object(b.get("/v1/charges/"+id+"?wait=1"), http.StatusOK)
	require.Equal(t, "pending", charge["status"])
	require.GreaterOrEqual(t, time.Since(started), time.Second)
	b.refused(b.get("/v1/charges/"+id+"?wait=61"), payments.CodeInvalidRequest)
	for _, wait := range []string{"-1", "1.5", "x", "", "+1", "1&wait=2", "99999999999999999999"} {
		b.refused(b.get("/v1/charges/"+id+"?wait="+wait), payments.CodeInvalidRequest)
	}
}

// TestWaitSurvivesReconnect: what is notified while the listening connection
// is broken is found when it is back.
func TestWaitSurvivesReconnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.charge(`{"amount_sats":5}`)
	done := make(chan reply, 1)
	go func() {
		answer, _ := b.try(http.MethodGet, "/v1/charges/"+id+"?wait=30", "")
		done <- answer
	}()
	const listeners = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'lntpay-listen'`
	var killed int
	require.Eventually(t, func() bool {
		return b.store.Pool.QueryRow(t.Context(), listeners).Scan(&killed) == nil && killed == 1
	}, 10*time.Second, 20*time.Millisecond)
	b.charges.pay(t, id, 5000)
	select {
	case answer := <-done:
		require.Equal(t, "paid", b.object(answer, http.StatusOK)["status"])
	case <-time.After(15 * time.Second):
		require.Fail(t, "the wake was lost")
	}
}

// awaitLongPolls waits until so many requests wait for a charge.
func (b *bench) awaitLongPolls(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return b.metric(t, "lntpay_http_long_polls") == strconv.Itoa(n)
	}, 10*time.Second, 5*time.Millisecond)
}
