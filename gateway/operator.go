package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds the question of /readyz.
const readyTimeout = 3 * time.Second

// OperatorHandler serves /healthz, /readyz and /metrics. It belongs on an
// address that the public cannot reach.
func (g *Gateway) OperatorHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, statusAnswer{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", g.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{}))

	return mux
}

// readyz says whether invoices can be made; why not is in the log. Tokens are
// accepted in any case.
func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if g.stopping.Load() {
		writeStatus(w, http.StatusServiceUnavailable, statusAnswer{Status: "stopping"})

		return
	}
	if err := g.ready(ctx); err != nil {
		g.log.WarnContext(ctx, "not ready", "check", "lntpay", "error", err)
		writeStatus(w, http.StatusServiceUnavailable, statusAnswer{"unavailable", map[string]string{"lntpay": "unavailable"}})

		return
	}
	writeStatus(w, http.StatusOK, statusAnswer{"ok", map[string]string{"lntpay": "ok"}})
}

type statusAnswer struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

func writeStatus(w http.ResponseWriter, status int, answer statusAnswer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // Texts always become JSON.
}
