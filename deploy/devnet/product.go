package devnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// sandboxNamespace is the Temporal namespace of the sandbox; the worker makes it.
const sandboxNamespace = "lntpay-sandbox"

// envFile keeps the configuration of api and worker in the state folder.
const envFile = "lntpay.env"

// allScopes is every scope: the key of a development stack opens everything.
const allScopes = "charges:read,charges:write,withdrawals:read,withdrawals:write,ledger:read," +
	"webhooks:read,webhooks:write,keys:read,keys:write"

// sandboxAccess is the workspace and the key that a stack made for its user.
type sandboxAccess struct {
	WorkspaceID string `json:"workspace_id"`
	Key         string `json:"key"`
	// Database is the database that knows them.
	Database string `json:"database"`
}

// pubkeyKnown gives a gate that opens when the product's configuration is
// complete: at once when the merchant node was seen before.
func (s *stack) pubkeyKnown(nodes chan struct{}) <-chan struct{} {
	if !isRegular(s.state.path("merchant.pubkey")) {
		return nodes
	}
	open := make(chan struct{})
	close(open)

	return open
}

// environment is the configuration of api and worker, see package config.
func (s *stack) environment() ([]string, error) {
	var err error
	dsn := func(role string) string {
		text, dsnErr := s.db.dsn(role, s.secrets.Roles[role], sandboxDB)
		err = errors.Join(err, dsnErr)

		return text
	}
	key := func(name string) string {
		path, keyErr := s.state.keyFile(name)
		err = errors.Join(err, keyErr)

		return path
	}
	pubkey, readErr := readText(s.state.path("merchant.pubkey"))
	merchant, payer := s.state.path("lnd_merchant"), s.state.path("lnd_payer")
	env := []string{
		"LNTPAY_API_LISTEN=" + address(s.ports.API),
		"LNTPAY_API_OPERATOR_LISTEN=" + address(s.ports.APIOperator),
		// Nobody balances the load of a development stack: it may end at once.
		"LNTPAY_API_DRAIN_MS=0",
		"LNTPAY_API_UNAUTHORIZED_PER_SECOND=0",
		"LNTPAY_WORKER_OPERATOR_LISTEN=" + address(s.ports.WorkerOperator),
		"LNTPAY_WEBHOOKS_ALLOW_PRIVATE=true",
		"LNTPAY_SANDBOX_DATABASE_URL=" + dsn(runtimeRole),
		"LNTPAY_SANDBOX_MIGRATE_DATABASE_URL=" + dsn(ownerRole),
		"LNTPAY_SANDBOX_SECRETS_KEY_FILE=" + key("secrets.key"),
		"LNTPAY_SANDBOX_PREIMAGE_KEY_FILE=" + key("preimage.key"),
		"LNTPAY_SANDBOX_TEMPORAL_ADDRESS=" + address(s.ports.Temporal.Frontend),
		"LNTPAY_SANDBOX_TEMPORAL_NAMESPACE=" + sandboxNamespace,
		"LNTPAY_SANDBOX_NODE_NAME=merchant",
		"LNTPAY_SANDBOX_NODE_NETWORK=regtest",
		"LNTPAY_SANDBOX_NODE_ADDRESS=" + address(s.ports.Merchant.RPC),
		"LNTPAY_SANDBOX_NODE_TLS_CERT_FILE=" + merchant + "/tls.cert",
		"LNTPAY_SANDBOX_NODE_MACAROON_FILE=" + s.state.path(receiveMacaroon),
		"LNTPAY_SANDBOX_NODE_SPEND_MACAROON_FILE=" + s.state.path(spendMacaroon),
		"LNTPAY_SANDBOX_NODE_PUBKEY=" + pubkey,
		"LNTPAY_SANDBOX_PAYER_ADDRESS=" + address(s.ports.Payer.RPC),
		"LNTPAY_SANDBOX_PAYER_TLS_CERT_FILE=" + payer + "/tls.cert",
		"LNTPAY_SANDBOX_PAYER_MACAROON_FILE=" + s.state.path(payerMacaroon),
	}
	// A development stack has no limits on requests.
	for _, limit := range []string{
		"KEY_PER_SECOND", "WORKSPACE_PER_SECOND", "WITHDRAWALS_PER_SECOND", "KEY_WAITS", "WORKSPACE_WAITS", "OPEN_CHARGES",
	} {
		env = append(env, "LNTPAY_SANDBOX_LIMITS_"+limit+"=0")
	}

	return env, errors.Join(err, readErr)
}

// program is what runs api, worker and the commands.
func (s *stack) program() (string, error) {
	if s.o.Program != "" {
		return s.o.Program, nil
	}

	return s.state.installSelf()
}

// prepareProduct migrates the database and makes a workspace and a key once.
func (s *stack) prepareProduct(ctx context.Context) error {
	began := time.Now()
	if _, err := s.run(ctx, "migrate"); err != nil {
		return err
	}
	made, err := s.credentials(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.json.WorkspaceID, s.json.APIKeys.Sandbox = made.WorkspaceID, made.Key
	s.mu.Unlock()
	s.took("migrations", began)

	return nil
}

// credentials reads the workspace and the key, or makes them for a database
// that does not know them.
func (s *stack) credentials(ctx context.Context) (sandboxAccess, error) {
	var made sandboxAccess
	path := s.state.path("credentials.json")
	if err := readJSON(path, &made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return made, err
	}
	database, err := s.db.identity(ctx)
	if err != nil {
		return made, err
	}
	if made.Key != "" && made.Database == database {
		return made, nil
	}
	var workspace struct{ ID string }
	if err := s.runJSON(ctx, &workspace, "workspace", "create", "dev", "--json"); err != nil {
		return made, err
	}
	var key struct{ Secret string }
	err = s.runJSON(ctx, &key, "key", "create", "--workspace", workspace.ID, "--env", "sandbox", "--scopes", allScopes, "--json")
	if err != nil {
		return made, err
	}
	if workspace.ID == "" || key.Secret == "" {
		return made, errors.New("`lntpay workspace create` and `lntpay key create` answered without an id or a secret")
	}
	made = sandboxAccess{WorkspaceID: workspace.ID, Key: key.Secret, Database: database}

	return made, writeJSON(path, made)
}

// identity tells one sandbox database from another that later takes its place.
func (d database) identity(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return "", fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var identity string
	err = conn.QueryRow(ctx, "SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid "+
		"FROM pg_database WHERE datname = $1", sandboxDB).Scan(&identity)
	if err != nil {
		return "", fmt.Errorf("identify the database %s: %w", sandboxDB, err)
	}

	return identity, nil
}

// run runs one command of the product against the stack and gives its stdout.
func (s *stack) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	program, err := s.program()
	if err != nil {
		return nil, err
	}
	env, err := s.environment()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = s.state.dir, append(bareEnv(s.state.dir), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("lntpay %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}

	return out, nil
}

func (s *stack) runJSON(ctx context.Context, answer any, args ...string) error {
	out, err := s.run(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("read the answer of lntpay %s: %w", strings.Join(args, " "), err)
	}

	return nil
}

// startProduct brings up api and worker. The stack is ready when the API says
// that it is, and the worker that it takes work.
func (s *stack) startProduct(ctx context.Context) error {
	program, err := s.program()
	if err != nil {
		return err
	}
	env, err := s.environment()
	if err != nil {
		return err
	}
	sorted := slices.Sorted(slices.Values(env))
	if err := writeFile(s.state.path(envFile), []byte(strings.Join(sorted, "\n")+"\n")); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	processes := map[string]int{"api": s.ports.APIOperator, "worker": s.ports.WorkerOperator}
	if s.o.OneProcess {
		processes = map[string]int{"serve": s.ports.APIOperator}
	}
	for name, operator := range processes {
		group.Go(func() error {
			return s.launch(ctx, Spec{
				Name: name, Path: program, Args: func() []string { return []string{name} }, Env: env,
				Dir: s.state.dir, Log: s.state.log(name), Keep: true, StopWithin: 30 * time.Second,
				// Temporal may know of new search attributes a minute later only
				// (common/searchattribute/manager.go, cacheRefreshInterval).
				ReadyWithin: 2 * time.Minute,
				Ready:       func(ctx context.Context) error { return httpOK(ctx, "http://"+address(operator)+"/readyz") },
			})
		})
	}

	return group.Wait()
}
