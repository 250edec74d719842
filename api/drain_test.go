package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/payments"
)

// TestDraining: a server that drains is not ready, serves, and has clients use
// another connection.
func TestDraining(t *testing.T) {
	t.Parallel()
	b := setup(t)
	closes := func(path, key string) bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())

		return response.Close
	}
	require.False(t, closes("/v1/charges", b.key))
	b.server.Drain()
	recorder := httptest.NewRecorder()
	b.server.OperatorHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	require.Equal(t, http.StatusServiceUnavailable, recorder.Code)
	require.JSONEq(t, `{"status":"draining"}`, recorder.Body.String())
	b.charge(`{"amount_sats":1}`)
	require.True(t, closes("/v1/charges", b.key))
	require.True(t, closes("/v1/charges", "wrong"))
	require.True(t, closes("/v1/none", b.key))
}

// replica is one of the API processes behind a proxy.
type replica struct {
	config config.API
	proxy  *httputil.ReverseProxy
	// ready is what the proxy last heard of it.
	ready  atomic.Bool
	cancel context.CancelFunc
	ended  chan error
}

func newReplica(b *bench, port int, failed func(error)) *replica {
	r := &replica{config: config.Defaults().API}
	r.config.Listen, r.config.OperatorListen = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	// Far longer than the proxy takes to notice, on a busy machine too.
	r.config.DrainMS = 2000
	target := &url.URL{Scheme: "http", Host: r.config.Listen}
	r.proxy = &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			failed(fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err))
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	r.start(b)

	return r
}

func (r *replica) start(b *bench) {
	b.t.Helper()
	server, err := api.New(api.Options{
		Config: r.config, Environments: map[payments.Environment]api.Environment{payments.Sandbox: b.environment},
	})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- server.Run(ctx) }()
}

func (r *replica) stop() error {
	r.cancel()

	return <-r.ended
}

// probe follows /readyz until ctx ends.
func (r *replica) probe(ctx context.Context) {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.config.OperatorListen+"/readyz", http.NoBody)
		response, err := client.Do(request)
		r.ready.Store(err == nil && response.StatusCode == http.StatusOK)
		if err == nil {
			_ = response.Body.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// TestRollingRestart: two servers behind a proxy that follows /readyz, and that
// repeats nothing, are restarted one after the other under load; no request fails.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var (
		mu       sync.Mutex
		failures []error
		next     atomic.Uint64
	)
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, err)
	}
	port, err := freeport.Take(4)
	require.NoError(t, err)
	replicas := []*replica{newReplica(b, port, failed), newReplica(b, port+2, failed)}
	probing, stopProbing := context.WithCancel(t.Context())
	var probes, all sync.WaitGroup
	for _, r := range replicas {
		probes.Go(func() { r.probe(probing) })
	}
	ready := func() bool { return replicas[0].ready.Load() && replicas[1].ready.Load() }
	require.Eventually(t, ready, 20*time.Second, 10*time.Millisecond)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range replicas {
			if to := replicas[next.Add(1)%uint64(len(replicas))]; to.ready.Load() {
				to.proxy.ServeHTTP(w, r)

				return
			}
		}
		failed(errors.New("no server is ready"))
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer proxy.Close()
	b.url, b.client = proxy.URL, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	var answered atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	for range 4 {
		all.Go(func() { load(ctx, b, &answered, failed) })
	}
	for _, r := range replicas {
		before := answered.Load()
		require.NoError(t, r.stop())
		r.start(b)
		require.Eventually(t, ready, 20*time.Second, 10*time.Millisecond)
		require.Greater(t, answered.Load(), before)
	}
	cancel()
	all.Wait()
	stopProbing()
	probes.Wait()
	for _, r := range replicas {
		r.cancel()
	}
	for _, r := range replicas {
		require.NoError(t, <-r.ended)
	}
	require.Empty(t, failures)
	t.Logf("%d requests over two restarts", answered.Load())
}

// load makes charges and waits for some of them until ctx ends. Requests do not
// end with it: one that is given up is no answer of the server's.
func load(ctx context.Context, b *bench, answered *atomic.Int64, failed func(error)) {
	for i := 0; ctx.Err() == nil; i++ {
		answer, err := b.try(http.MethodPost, "/v1/charges", `{"amount_sats":1}`, idempotent(payments.NewID("req")))
		if err != nil || answer.status != http.StatusCreated {
			failed(fmt.Errorf("create: %w: %d %s", err, answer.status, answer.body))

			continue
		}
		answered.Add(1)
		if i%20 != 0 {
			continue
		}
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(answer.body), &made); err != nil {
			failed(err)
		}
		answer, err = b.try(http.MethodGet, "/v1/charges/"+made.ID+"?wait=1", "")
		if err != nil || answer.status != http.StatusOK {
			failed(fmt.Errorf("wait: %w: %d %s", err, answer.status, answer.body))
		}
		answered.Add(1)
	}
}
