package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// Run serves both addresses until ctx ends, then lets what runs end within the
// configured time. It returns nil after an orderly stop.
func (g *Gateway) Run(ctx context.Context) error {
	public, err := g.listen(ctx, "listen", g.config.Listen)
	if err != nil {
		return err
	}
	if g.config.TLSCertFile != "" {
		certificate, err := tls.LoadX509KeyPair(g.config.TLSCertFile, g.config.TLSKeyFile)
		if err != nil {
			_ = public.Close()

			return fmt.Errorf("gateway: tls_cert_file: %w", err)
		}
		public = tls.NewListener(public, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	operator, err := g.listen(ctx, "operator_listen", g.config.OperatorListen)
	if err != nil {
		_ = public.Close()

		return err
	}
	g.log.InfoContext(ctx, "serving", "address", public.Addr().String(), "operator_address", operator.Addr().String(),
		"services", len(g.services))

	return g.Serve(ctx, public, operator)
}

func (g *Gateway) listen(ctx context.Context, setting, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", setting, err)
	}

	return netutil.LimitListener(listener, g.config.Limits.Connections), nil
}

// Serve is Run on listeners that are open. It closes them.
func (g *Gateway) Serve(ctx context.Context, public, operator net.Listener) error {
	requests, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(errStopping)
	servers := []*http.Server{g.httpServer(requests, g), g.httpServer(requests, g.OperatorHandler())}
	group, ctx := errgroup.WithContext(ctx)
	for i, listener := range []net.Listener{public, operator} {
		group.Go(func() error {
			if err := servers[i].Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("gateway: serve %s: %w", listener.Addr(), err)
			}

			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		g.stopping.Store(true)
		defer g.closeIdle()
		ctx := context.WithoutCancel(ctx)
		taken := 0
		if err := g.drain(ctx, servers[0], &taken); err != nil {
			g.log.WarnContext(ctx, "requests are cut off by the shutdown", "error", err)
		}
		cancel(errStopping)
		closed := errors.Join(servers[0].Close(), servers[1].Close())
		endCtx, stop := context.WithTimeout(ctx, endTimeout)
		defer stop()

		return errors.Join(closed, g.awaitIdle(endCtx, &taken))
	})

	return group.Wait()
}

// endTimeout is how long requests may take to notice that they are cut off.
const endTimeout = 5 * time.Second

// drain waits for the requests under way, the upgraded connections too, which
// Shutdown knows nothing of.
func (g *Gateway) drain(ctx context.Context, server *http.Server, taken *int) error {
	ctx, stop := context.WithTimeout(ctx, milliseconds(g.config.Limits.ShutdownTimeoutMS))
	defer stop()
	if err := server.Shutdown(ctx); err != nil {
		return err
	}

	return g.awaitIdle(ctx, taken)
}

// awaitIdle takes all places, and so waits until every request is over; taken is
// how many it has.
func (g *Gateway) awaitIdle(ctx context.Context, taken *int) error {
	for ; *taken < cap(g.places); *taken++ {
		select {
		case g.places <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("gateway: wait for the requests under way: %w", ctx.Err())
		}
	}

	return nil
}

func (g *Gateway) closeIdle() {
	for _, transport := range g.transports {
		transport.close()
	}
}

func (g *Gateway) httpServer(requests context.Context, handler http.Handler) *http.Server {
	limits := g.config.Limits
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)

	return &http.Server{
		// No ReadTimeout and no WriteTimeout: bodies stream.
		Handler: handler, ReadHeaderTimeout: milliseconds(limits.HeaderTimeoutMS), IdleTimeout: milliseconds(limits.IdleTimeoutMS),
		MaxHeaderBytes: limits.HeaderBytes, Protocols: protocols, DisableGeneralOptionsHandler: true,
		HTTP2:       &http.HTTP2Config{SendPingTimeout: keepAlive, PingTimeout: keepAlive},
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}
