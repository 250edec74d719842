package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"
)

// side is a second product beside the stack's own, on the same Postgres,
// Temporal and node, with a database and a namespace of its own: what is planted
// there is in nobody's way, and two sides can be compared in one run.
type side struct {
	*bench

	name, workspace, dir string
	env                  map[string]string
	workerOperator       string
	processes            map[string]*devnet.Process
}

const (
	// sideOwner and sideRole are the settings with the DSNs of the two roles.
	sideOwner  = "LNTPAY_SANDBOX_MIGRATE_DATABASE_URL"
	sideRole   = "LNTPAY_SANDBOX_DATABASE_URL"
	sideScopes = "charges:read,charges:write,withdrawals:read,withdrawals:write,ledger:read,webhooks:read,webhooks:write"
	// sideReady bounds how long its processes take to start.
	sideReady = 2 * time.Minute
)

// newSide makes the database and the workspace; nothing runs yet.
func (b *bench) newSide(ctx context.Context, name string) (*side, error) {
	env, err := b.dev.Environ()
	if err != nil {
		return nil, err
	}
	s := &side{
		name: fmt.Sprintf("lntpay_bench_%s_%d", name, time.Now().Unix()), env: env, processes: map[string]*devnet.Process{},
	}
	if s.dir, err = os.MkdirTemp("", "lntpay-bench-"); err != nil {
		return nil, err
	}
	if err := b.admin(ctx, "postgres", "CREATE DATABASE "+s.name+" OWNER lntpay_owner"); err != nil {
		return nil, err
	}
	own, dev := *b, *b.dev
	s.bench, own.dev = &own, &dev
	if err := s.configure(); err != nil {
		return s, err
	}
	if s.store, err = store.Open(ctx, payments.Sandbox, s.env[sideRole], 10); err != nil {
		return s, err
	}
	s.temporal, err = workflows.Dial(dev.TemporalAddress, dev.TemporalNamespace, slog.New(slog.DiscardHandler))
	if err != nil {
		return s, err
	}

	return s, s.prepare(ctx)
}

// admin runs one statement as the superuser.
func (b *bench) admin(ctx context.Context, database, statement string) error {
	dsn, err := b.dev.AdminURL(database)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)

	return err
}

// configure makes the stack's settings those of the side.
func (s *side) configure() error {
	ports, err := freeport.Take(3)
	if err != nil {
		return err
	}
	for _, name := range []string{sideOwner, sideRole} {
		dsn, err := url.Parse(s.env[name])
		if err != nil {
			return fmt.Errorf("%s of the stack: %w", name, err)
		}
		dsn.Path = "/" + s.name
		s.env[name] = dsn.String()
	}
	address := func(offset int) string { return fmt.Sprintf("127.0.0.1:%d", ports+offset) }
	s.dev.APIURL, s.dev.OperatorURL, s.workerOperator = "http://"+address(0), "http://"+address(1), address(2)
	s.dev.TemporalNamespace, s.dev.DatabaseURL = strings.ReplaceAll(s.name, "_", "-"), s.env[sideRole]
	s.env["LNTPAY_API_LISTEN"], s.env["LNTPAY_API_OPERATOR_LISTEN"] = address(0), address(1)
	s.env["LNTPAY_WORKER_OPERATOR_LISTEN"] = address(2)
	s.env["LNTPAY_SANDBOX_TEMPORAL_NAMESPACE"] = s.dev.TemporalNamespace
	// The books are compared once, when they are still empty: the node has
	// nothing of what is planted.
	s.env["LNTPAY_SANDBOX_RECONCILE_EVERY_MINUTES"] = "1440"

	return nil
}

func (s *side) prepare(ctx context.Context) error {
	var workspace struct{ ID string }
	var key struct{ Secret string }
	if err := s.command(ctx, nil, "migrate"); err != nil {
		return err
	}
	if err := s.command(ctx, &workspace, "workspace", "create", "bench", "--json"); err != nil {
		return err
	}
	s.workspace = workspace.ID
	err := s.command(ctx, &key, "key", "create", "--workspace", workspace.ID, "--env", "sandbox", "--scopes", sideScopes, "--json")
	s.key = key.Secret

	return err
}

func (s *side) environ() []string {
	var all []string
	for name, value := range s.env {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)

	return all
}

func (s *side) command(ctx context.Context, answer any, args ...string) error {
	cmd := exec.CommandContext(ctx, s.dev.Program(), args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), s.environ()...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("lntpay %s: %w", strings.Join(args, " "), err)
	}
	if answer == nil {
		return nil
	}

	return json.Unmarshal(out, answer)
}

// startAll runs what the stack runs, one process or two.
func (s *side) startAll(ctx context.Context) error {
	if _, one := s.dev.Processes["serve"]; one {
		return s.start(ctx, "serve")
	}
	for _, name := range []string{"worker", "api"} {
		if err := s.start(ctx, name); err != nil {
			return err
		}
	}

	return nil
}

// start runs api, worker or serve.
func (s *side) start(ctx context.Context, name string) error {
	ready := s.dev.OperatorURL
	if name == "worker" {
		ready = "http://" + s.workerOperator
	}
	process, err := devnet.Start(ctx, devnet.Spec{
		Name: name, Path: s.dev.Program(), Args: func() []string { return []string{name} }, Env: s.environ(), Dir: s.dir,
		Log: filepath.Join(s.dir, name+".log"), StopWithin: 30 * time.Second, ReadyWithin: sideReady, Keep: name == "worker",
		Ready: func(ctx context.Context) error { return isReady(ctx, ready+"/readyz") },
	})
	if err != nil {
		return fmt.Errorf("%w; its log is in %s", err, s.dir)
	}
	s.processes[name] = process

	return nil
}

func isReady(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := transport.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}

	return nil
}

// close stops what runs and drops the database. What the node and Temporal have
// of it stays, as of every bench.
func (s *side) close(ctx context.Context) {
	for _, process := range s.processes {
		process.Stop()
	}
	if s.temporal != nil {
		s.temporal.Close()
	}
	if s.store != nil {
		s.store.Close()
	}
	if s.sizes.keep {
		fmt.Println("kept: the database", s.name, "with the workspace", s.workspace, "and the logs in", s.dir)

		return
	}
	if err := s.admin(context.WithoutCancel(ctx), "postgres", "DROP DATABASE "+s.name+" WITH (FORCE)"); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", s.name, "is left behind:", err)
	}
	_ = os.RemoveAll(s.dir)
}
