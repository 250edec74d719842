// Package stack runs the whole product for a test: real Postgres, the stock
// Temporal server on it, btcd and three lnd nodes, the worker and the API, the
// latter two in the test's process so that a test can reach into them.
package stack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/tests/regtest"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/worker"
	"github.com/lntpay/lntpay/workflows"
)

// Namespace is the Temporal namespace of the stack.
const Namespace = "lntpay-sandbox"

const startTimeout = 5 * time.Minute

// Stack is a running product.
type Stack struct {
	APIURL   string
	Net      *regtest.Net
	Store    *store.Store
	Temporal client.Client
	Config   *config.Config
	Log      *slog.Logger

	dir     string
	cleanup []func()
	worker  *running
	hooks   hooks
	// runTemporal starts the Temporal server, which stopTemporal ends.
	runTemporal  func(context.Context) (address string, stop func(), err error)
	stopTemporal func()
}

// running is something that a context ends.
type running struct {
	cancel context.CancelFunc
	group  *errgroup.Group
}

func (r *running) stop() error {
	r.cancel()

	return r.group.Wait()
}

// Open starts everything. Whoever opens it closes it.
func Open(ctx context.Context) (*Stack, error) {
	dir, err := os.MkdirTemp("", "lntpay-stack-")
	if err != nil {
		return nil, err
	}
	s := &Stack{dir: dir, Log: newLog(dir)}
	if err := s.start(ctx); err != nil {
		s.Close()

		return nil, err
	}

	return s, nil
}

// newLog writes into the stack's folder; LNTPAY_TEST_LOG=1 shows it.
func newLog(dir string) *slog.Logger {
	out := io.Writer(os.Stderr)
	if os.Getenv("LNTPAY_TEST_LOG") == "" {
		if file, err := os.Create(filepath.Join(dir, "lntpay.log")); err == nil {
			out = file
		}
	}

	return slog.New(slog.NewTextHandler(out, nil))
}

func (s *Stack) start(ctx context.Context) error {
	// The network starts beside the databases; building tools is shared.
	var group errgroup.Group
	group.Go(func() (err error) {
		s.Net, err = regtest.Open(ctx, regtest.Options{Shop: true})

		return err
	})
	group.Go(func() error { return s.startEngines(ctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	startCtx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.configure(startCtx); err != nil {
		return err
	}
	if err := s.StartWorker(startCtx); err != nil {
		return err
	}

	return s.startAPI(startCtx)
}

// startEngines starts Postgres and Temporal.
func (s *Stack) startEngines(ctx context.Context) error {
	base, err := freeport.Take(3 + devnet.TemporalPortCount)
	if err != nil {
		return err
	}
	dsn, stop, err := devnet.StartPostgres(ctx, filepath.Join(s.dir, "postgres"), base)
	if err != nil {
		return err
	}
	s.cleanup = append(s.cleanup, stop)
	s.runTemporal = func(ctx context.Context) (string, func(), error) {
		return devnet.StartTemporal(ctx, filepath.Join(s.dir, "temporal"), dsn, devnet.TemporalPortsFrom(base+3))
	}
	address, stop, err := s.runTemporal(ctx)
	if err != nil {
		return err
	}
	s.stopTemporal = stop
	s.cleanup = append(s.cleanup, s.StopTemporal)
	defaults := config.Defaults()
	s.Config = &defaults
	s.Config.API.Listen = "127.0.0.1:" + strconv.Itoa(base+1)
	s.Config.API.OperatorListen = "127.0.0.1:" + strconv.Itoa(base+2)
	s.Config.Webhooks.AllowPrivate = true
	s.Config.Sandbox.DatabaseURL = dsn
	s.Config.Sandbox.Temporal.Address = address
	s.Config.Sandbox.Temporal.Namespace = Namespace

	return nil
}

// configure makes the database, the keys and the settings.
func (s *Stack) configure(ctx context.Context) error {
	env := &s.Config.Sandbox
	conn, err := pgx.Connect(ctx, env.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE lntpay_sandbox"); err != nil {
		return err
	}
	cfg := conn.Config()
	env.DatabaseURL = fmt.Sprintf("postgres://%s:%s@%s/lntpay_sandbox?sslmode=disable", cfg.User, cfg.Password,
		net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
	if err := store.Migrate(ctx, payments.Sandbox, env.DatabaseURL, cfg.User); err != nil {
		return err
	}
	for file, path := range map[string]*string{"secrets.key": &env.SecretsKeyFile, "preimage.key": &env.PreimageKeyFile} {
		*path = filepath.Join(s.dir, file)
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		if err := os.WriteFile(*path, []byte(hex.EncodeToString(key)), 0o600); err != nil {
			return err
		}
	}
	env.Node = config.Node(s.Net.Merchant.Config)
	payer := s.Net.Payer
	env.Payer = config.Payer{Address: payer.Config.Address, TLSCertFile: payer.Config.TLSCertFile}
	if env.Payer.MacaroonFile, err = payer.Bake(ctx, "sandbox", lightning.PayerPermissions()); err != nil {
		return err
	}
	if s.Store, err = store.Open(ctx, payments.Sandbox, env.DatabaseURL, 20); err != nil {
		return err
	}
	s.cleanup = append(s.cleanup, s.Store.Close)
	s.Temporal, err = workflows.Dial(env.Temporal.Address, Namespace, s.Log)
	if err == nil {
		s.cleanup = append(s.cleanup, s.Temporal.Close)
	}

	return err
}

// StartWorker starts the worker, unless it runs.
func (s *Stack) StartWorker(ctx context.Context) error {
	if s.worker != nil {
		return nil
	}
	w, err := worker.New(ctx, payments.Sandbox, s.Config.Sandbox, s.Config.Webhooks, prometheus.NewRegistry(), s.Log, s.hook)
	if err != nil {
		return err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.worker = &running{cancel: cancel, group: &errgroup.Group{}}
	s.worker.group.Go(func() error {
		defer w.Close()

		return w.Run(runCtx)
	})

	return nil
}

// StopWorker ends the worker gracefully.
func (s *Stack) StopWorker() error {
	if s.worker == nil {
		return nil
	}
	defer func() { s.worker = nil }()

	return s.worker.stop()
}

// StopTemporal ends the Temporal server.
func (s *Stack) StopTemporal() {
	s.stopTemporal()
	s.stopTemporal = func() {}
}

// StartTemporal starts it again, where it was.
func (s *Stack) StartTemporal(ctx context.Context) (err error) {
	_, s.stopTemporal, err = s.runTemporal(ctx)

	return err
}

func (s *Stack) startAPI(ctx context.Context) error {
	sealer, err := webhooks.LoadSealer(s.Config.Sandbox.SecretsKeyFile)
	if err != nil {
		return err
	}
	starter := &workflows.Starter{Client: s.Temporal, Environment: payments.Sandbox}
	server, err := api.New(api.Options{
		Config: s.Config.API, Log: s.Log,
		Environments: map[payments.Environment]api.Environment{payments.Sandbox: {
			Store: s.Store, Sealer: sealer, WebhookPolicy: webhooks.Policy{AllowPrivate: true},
			Charges: starter, Withdrawals: starter, Deliveries: starter, Sandbox: starter, Payouts: s.Config.Sandbox.Payouts,
		}},
	})
	if err != nil {
		return err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	running := &running{cancel: cancel, group: &errgroup.Group{}}
	ended := make(chan error, 1)
	running.group.Go(func() error {
		err := server.Run(runCtx)
		ended <- err

		return err
	})
	s.cleanup = append(s.cleanup, func() { _ = running.stop() })
	s.APIURL = "http://" + s.Config.API.Listen

	return awaitAPI(ctx, "http://"+s.Config.API.OperatorListen+"/readyz", ended)
}

// awaitAPI waits until the API is ready; one that ends before is an error.
func awaitAPI(ctx context.Context, url string, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("stack: the API ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("stack: the API is not ready: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// NewKey makes a workspace and a key with every scope.
func (s *Stack) NewKey(ctx context.Context) (workspaceID, secret string, err error) {
	workspace, err := s.Store.AddWorkspace(ctx, "test")
	if err != nil {
		return "", "", err
	}
	var scopes []string
	for _, scope := range apikey.Scopes() {
		scopes = append(scopes, string(scope))
	}
	_, secret, err = apikey.CreateKey(ctx, s.Store, store.Operator{Name: "test", Reason: "test"}, workspace.ID, "test", scopes, nil)

	return workspace.ID, secret, err
}

// Close ends everything in reverse order.
func (s *Stack) Close() {
	_ = s.StopWorker()
	for _, cleanup := range slices.Backward(s.cleanup) {
		cleanup()
	}
	if s.Net != nil {
		_ = s.Net.Close()
	}
	_ = os.RemoveAll(s.dir)
}
