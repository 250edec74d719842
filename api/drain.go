package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// A stop has three parts. While it drains, for api.drain_ms, readiness says so
// and everything is served: whoever sends requests here has time to see it and
// to go elsewhere. Then long-polls and streams end with what they have, and
// the addresses are closed. Last, requests that still run get
// api.shutdown_timeout_ms.

// beginDrain has /readyz and every answer say that this process is about to go.
func (s *Server) beginDrain() { s.draining.Store(true) }

// sayGoodbye has a client use another connection for its next request while
// the server drains, so that hardly one is left to be closed at the end: a
// request that met its closing would be lost.
func (s *Server) sayGoodbye(c *gin.Context) {
	if s.draining.Load() {
		c.Header("Connection", "close")
	}
}

// stop drains and shuts down. It ends the public server first: readiness and
// metrics stay visible meanwhile.
func (s *Server) stop(ctx context.Context, servers []*http.Server) error {
	s.beginDrain()
	s.log.InfoContext(ctx, "draining", "drain_ms", s.config.DrainMS)
	time.Sleep(time.Duration(s.config.DrainMS) * time.Millisecond)
	s.stopOnce.Do(func() { close(s.stopping) })
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.config.ShutdownTimeoutMS)*time.Millisecond)
	defer cancel()
	var failed error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("shut down: %w", err), server.Close())
		}
	}

	return failed
}
