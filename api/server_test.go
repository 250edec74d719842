package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/payments"
)

func TestOperatorEndpoints(t *testing.T) {
	t.Parallel()
	away := false
	b := setup(t, func(o *api.Options) {
		o.Checks = map[string]func(context.Context) error{"sandbox.temporal": func(context.Context) error {
			if away {
				return errors.New("secret address")
			}

			return nil
		}}
	})
	b.get("/v1/charges")
	ask := func(path string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		b.server.OperatorHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))

		return recorder
	}
	require.Equal(t, http.StatusOK, ask("/healthz").Code)
	ready := ask("/readyz")
	require.Equal(t, http.StatusOK, ready.Code)
	require.JSONEq(t, `{"status":"ok","checks":{"sandbox.postgres":"ok","sandbox.temporal":"ok"}}`, ready.Body.String())
	away = true
	ready = ask("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, ready.Code)
	require.Contains(t, ready.Body.String(), `"sandbox.temporal":"unavailable"`)
	require.NotContains(t, ready.Body.String(), "secret")
	require.Contains(t, ask("/metrics").Body.String(), `lntpay_http_request_duration_seconds_count{method="GET",route="/v1/charges",status="200"} 1`)
	require.Equal(t, http.StatusNotFound, b.get("/metrics").status)
}

// TestRunStops: a shutdown ends long-polls with the charge as it is.
func TestRunStops(t *testing.T) {
	t.Parallel()
	port, err := freeport.Take(2)
	require.NoError(t, err)
	address, operator := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	b := setup(t, func(o *api.Options) { o.Config.Listen, o.Config.OperatorListen = address, operator })
	id := b.charge(`{"amount_sats":1}`)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	b.url = "http://" + address
	require.Eventually(t, func() bool {
		answer, err := b.try(http.MethodGet, "/v1/charges/"+id, "")

		return err == nil && answer.status == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)
	waited := make(chan reply, 1)
	go func() {
		answer, _ := b.try(http.MethodGet, "/v1/charges/"+id+"?wait=60", "")
		waited <- answer
	}()
	b.awaitLongPolls(t, 1)
	started := time.Now()
	stop()
	require.Equal(t, "pending", b.object(<-waited, http.StatusOK)["status"])
	require.NoError(t, <-ended)
	require.Less(t, time.Since(started), 10*time.Second)
}

func TestNewRefusesAForeignStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := api.New(api.Options{Environments: map[payments.Environment]api.Environment{payments.Production: {Store: b.store}}})
	require.Error(t, err)
}
