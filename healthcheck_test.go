package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	ready := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !ready {
			http.Error(w, "draining", http.StatusServiceUnavailable)
		}
	}))
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, address := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port} {
		require.NoError(t, checkReady(t.Context(), address), address)
	}
	ready = false
	require.ErrorContains(t, checkReady(t.Context(), "0.0.0.0:"+port), "503 Service Unavailable: draining")
	server.Close()
	require.Error(t, checkReady(t.Context(), "127.0.0.1:"+port))
	require.ErrorContains(t, checkReady(t.Context(), "nonsense"), "operator_listen")
}
