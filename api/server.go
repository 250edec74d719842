package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/telemetry"
)

// Limits on connections. A write may take as long as the longest wait and the
// decision of a POST need.
const (
	readHeaderTimeout = 5 * time.Second
	bodyTimeout       = 15 * time.Second
	writeTimeout      = maxWait + 15*time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Server serves the public API and the operator's endpoints.
type Server struct {
	config       config.API
	environments map[payments.Environment]*environment
	checks       map[string]func(context.Context) error
	registry     *prometheus.Registry
	metrics      *metrics
	inFlight     *inFlight
	failures     *failures
	log          *slog.Logger
	logRequests  string
	openAPI      []byte
	// draining is set once a stop has begun, see drain.go.
	draining atomic.Bool
	// stopping ends long-polls and streams, so that a shutdown need not wait for them.
	stopping chan struct{}
	stopOnce sync.Once
	// heartbeatEvery is how often streams show that they live.
	heartbeatEvery time.Duration
}

// environment is what a handler sees of an Environment, and its running state.
type environment struct {
	Environment
	name    payments.Environment
	keys    *keyCache
	nodes   *nodeCache
	watcher *watcher
	limits  *limits
	flights singleflight.Group
}

// New assembles a server. Nothing runs before Run.
func New(options Options) (*Server, error) {
	registry := options.Registry
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	log := options.Log
	if log == nil {
		log = slog.Default()
	}
	log = telemetry.WithContext(log)
	openAPI, err := openAPIJSON()
	if err != nil {
		return nil, err
	}
	failures, err := newFailures(options.Config)
	if err != nil {
		return nil, err
	}
	metrics := newMetrics(registry)
	s := &Server{
		config: options.Config, environments: map[payments.Environment]*environment{},
		checks:   map[string]func(context.Context) error{},
		registry: registry, metrics: metrics, log: log, openAPI: openAPI,
		failures: failures,
		inFlight: newInFlight(options.Config.MaxInFlight, metrics.inFlight),
		stopping: make(chan struct{}), heartbeatEvery: heartbeatEvery,
		logRequests: cmp.Or(options.LogRequests, config.Defaults().Log.Requests),
	}
	maps.Copy(s.checks, options.Checks)
	for name, env := range options.Environments {
		if env.Store == nil || env.Store.Environment != name {
			return nil, fmt.Errorf("api: the store of %s is missing or another's", name)
		}
		s.environments[name] = &environment{
			Environment: env, name: name, keys: newKeyCache(env.Store.Queries), nodes: newNodeCache(env.Store.Queries),
			watcher: newWatcher(env.Store.Pool, log.With("environment", name)),
			limits:  newLimits(env.Limits, env.Store.Queries),
		}
		s.checks[string(name)+".postgres"] = env.Store.Pool.Ping
	}

	return s, nil
}

// Run serves both addresses until ctx ends, then drains and lets what runs end
// within the configured time, see drain.go. It returns nil after an orderly stop.
func (s *Server) Run(ctx context.Context) error {
	public, err := listen(ctx, "api.listen", s.config.Listen)
	if err != nil {
		return err
	}
	if s.config.MaxConnections > 0 {
		public = netutil.LimitListener(public, s.config.MaxConnections)
	}
	if public, err = withTLS(public, s.config); err != nil {
		return err
	}
	operator, err := listen(ctx, "api.operator_listen", s.config.OperatorListen)
	if err != nil {
		_ = public.Close()

		return err
	}
	s.log.InfoContext(ctx, "serving", "address", public.Addr().String(), "operator_address", operator.Addr().String())

	return s.serve(ctx, public, operator)
}

func (s *Server) serve(ctx context.Context, public, operator net.Listener) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	group, ctx := errgroup.WithContext(ctx)
	servers := []*http.Server{s.httpServer(s.Handler()), s.httpServer(s.OperatorHandler())}
	for i, listener := range []net.Listener{public, operator} {
		group.Go(func() error {
			if err := servers[i].Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", listener.Addr(), err)
			}

			return nil
		})
	}
	watching := make(chan struct{})
	go func() { defer close(watching); s.watch(background) }()
	group.Go(func() error {
		<-ctx.Done()

		return s.stop(context.WithoutCancel(ctx), servers)
	})
	err := group.Wait()
	stopBackground()
	<-watching

	return err
}

// watch runs the listeners for notifications until ctx ends.
func (s *Server) watch(ctx context.Context) {
	var all sync.WaitGroup
	for _, env := range s.environments {
		all.Go(func() { env.watcher.run(ctx) })
	}
	all.Wait()
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		// No ReadTimeout: it would run on after the body was read and cut off
		// long-polls, since net/http keeps reading to notice a client leave.
		// limitBodyTime has its place.
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}

	return listener, nil
}
