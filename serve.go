package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// parts says which of the two kinds of process a command is.
type parts struct{ api, worker bool }

const (
	readyTimeout    = 3 * time.Second
	shutdownTimeout = 5 * time.Second
	flushTimeout    = 3 * time.Second
)

func serveCommand(s *settings, use, short string, p parts) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}

			return serve(cmd.Context(), cfg, p)
		},
	}
}

// serve runs the parts for every configured environment until ctx ends or one
// of them fails.
func serve(ctx context.Context, cfg *config.Config, p parts) error {
	environments := cfg.Environments()
	log, err := telemetry.NewLogger(os.Stderr, cfg.Log.Level)
	if err != nil {
		return err
	}
	if err := checkStart(ctx, cfg, p, log); err != nil {
		return err
	}
	stop, err := telemetry.Start(ctx, telemetry.Config(cfg.Telemetry), log)
	if err != nil {
		return err
	}
	defer flush(ctx, stop, log)
	registry := newRegistry()
	shared, closeShared, err := join(cfg, p, registry, log)
	if err != nil {
		return err
	}
	defer closeShared()
	group, ctx := errgroup.WithContext(ctx)
	workerCtx := ctx
	if p.api {
		// What the API still serves while it drains needs the worker.
		var stopWorkers context.CancelFunc
		workerCtx, stopWorkers = context.WithCancel(context.WithoutCancel(ctx))
		group.Go(func() error {
			defer stopWorkers()

			return runAPI(ctx, cfg, shared, registry, log)
		})
	}
	if p.worker {
		for name, env := range environments {
			group.Go(func() error { return runWorker(workerCtx, name, env, cfg, shared[name], registry, log) })
		}
	}

	return group.Wait()
}

// flush hands in the last traces. A collector that is away holds nobody up.
func flush(ctx context.Context, stop func(context.Context) error, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := stop(ctx); err != nil {
		log.WarnContext(ctx, "the last traces are lost", "error", err)
	}
}

// runWorker serves one environment. With nothing shared it has the process, and
// so the operator address, to itself.
func runWorker(ctx context.Context, name payments.Environment, env config.Environment, cfg *config.Config,
	shared together, registry *prometheus.Registry, log *slog.Logger,
) error {
	log = log.With("environment", name)
	w, err := worker.New(ctx, name, env, cfg.Webhooks, registry, log, func(w *worker.Worker) {
		w.StopTimeout = time.Duration(cfg.Worker.ShutdownTimeoutMS) * time.Millisecond
		w.Temporal, w.Answers = shared.client, shared.answers
	})
	if err != nil {
		return fmt.Errorf("worker of %s: %w", name, err)
	}
	defer w.Close()
	group, ctx := errgroup.WithContext(ctx)
	// Health and metrics stay visible while what runs ends.
	operatorCtx, stopOperator := context.WithCancel(context.WithoutCancel(ctx))
	if shared.client == nil {
		group.Go(func() error {
			return serveOperator(operatorCtx, cfg.Worker.OperatorListen, registry, w.Ready, ctx.Done())
		})
	}
	group.Go(func() error {
		defer stopOperator()

		return w.Run(ctx)
	})
	log.InfoContext(ctx, "worker runs", "node", w.Node.Name(), "pubkey", w.Node.Pubkey())

	return group.Wait()
}

// serveOperator serves the worker's health and metrics until ctx ends; from
// stopping on it is not ready.
func serveOperator(ctx context.Context, address string, registry *prometheus.Registry,
	ready func(context.Context) map[string]error, stopping <-chan struct{},
) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, `{"status":"draining"}`)

			return
		default:
		}
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		for what, err := range ready(ctx) {
			if err != nil {
				http.Error(w, what+" is not ready", http.StatusServiceUnavailable)

				return
			}
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: readyTimeout}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("worker.operator_listen: %w", err)
		}

		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()

		return server.Shutdown(stopCtx)
	})

	return group.Wait()
}

// runAPI serves HTTP for all environments.
func runAPI(ctx context.Context, cfg *config.Config, shared map[payments.Environment]together,
	registry *prometheus.Registry, log *slog.Logger,
) error {
	options := api.Options{
		Config: cfg.API, Environments: map[payments.Environment]api.Environment{},
		Checks: map[string]func(context.Context) error{}, Registry: registry, Log: log, LogRequests: cfg.Log.Requests,
	}
	for name, env := range cfg.Environments() {
		served, temporal, err := apiEnvironment(ctx, name, env, cfg.Webhooks, shared[name], registry, log)
		if err != nil {
			return fmt.Errorf("api of %s: %w", name, err)
		}
		defer served.Store.Close()
		if shared[name].client == nil {
			defer temporal.Close()
		}
		options.Environments[name] = served
		options.Checks[string(name)+".temporal"] = func(ctx context.Context) error {
			return workflows.CheckServed(ctx, temporal)
		}
	}
	server, err := api.New(options)
	if err != nil {
		return err
	}

	return server.Run(ctx)
}

func apiEnvironment(ctx context.Context, name payments.Environment, env config.Environment, hooks config.Webhooks,
	shared together, registry prometheus.Registerer, log *slog.Logger,
) (api.Environment, client.Client, error) {
	sealer, err := webhooks.LoadSealer(env.SecretsKeyFile)
	if err != nil {
		return api.Environment{}, nil, fmt.Errorf("secrets_key_file: %w", err)
	}
	s, err := store.Open(ctx, name, env.DatabaseURL, env.MaxConns)
	if err != nil {
		return api.Environment{}, nil, err
	}
	if err := s.CheckEnvironment(ctx); err != nil {
		s.Close()

		return api.Environment{}, nil, err
	}
	// The worker's part of the same process has a pool of its own.
	prometheus.WrapRegistererWith(prometheus.Labels{"environment": string(name), "part": "api"}, registry).
		MustRegister(s.PoolCollector())
	temporal := shared.client
	if temporal == nil {
		if temporal, err = dialTemporal(name, env.Temporal, "api", registry, log); err != nil {
			s.Close()

			return api.Environment{}, nil, err
		}
	}
	starter := &workflows.Starter{Client: temporal, Environment: name, Answers: shared.answers}

	return api.Environment{
		Store: s, Sealer: sealer, Charges: starter, Withdrawals: starter, Deliveries: starter, Sandbox: starter,
		Payouts: env.Payouts, Limits: env.Limits,
		WebhookPolicy: webhooks.Policy{AllowPrivate: hooks.AllowPrivate, Production: name == payments.Production},
	}, temporal, nil
}
