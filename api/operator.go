package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds each question of /readyz.
const checkTimeout = 2 * time.Second

// OperatorHandler serves /healthz, /readyz and /metrics. It belongs on an
// address that the public cannot reach.
func (s *Server) OperatorHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))

	return mux
}

// readyz asks everything at once and names what is away; why is in the log. A
// server that drains is not ready, however well it is.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		writeStatus(w, http.StatusServiceUnavailable, map[string]any{"status": "draining"})

		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		results = map[string]string{}
		status  = http.StatusOK
		word    = "ok"
	)
	for name, check := range s.checks {
		all.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			results[name] = "ok"
			if err != nil {
				results[name], status, word = "unavailable", http.StatusServiceUnavailable, "unavailable"
				s.log.WarnContext(ctx, "not ready", "check", name, "error", err)
			}
		})
	}
	all.Wait()
	writeStatus(w, status, map[string]any{"status": word, "checks": results})
}

func writeStatus(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
