package check_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"gopkg.in/macaroon.v2"

	"github.com/lntpay/lntpay/check"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/storetest"
)

func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	require.NoError(t, os.Chmod(file, mode))

	return file
}

// bake makes a macaroon that says that it allows some operations.
func bake(t *testing.T, operations ...string) string {
	t.Helper()
	var id lnrpc.MacaroonId
	for _, operation := range operations {
		entity, action, _ := strings.Cut(operation, ":")
		id.Ops = append(id.Ops, &lnrpc.Op{Entity: entity, Actions: []string{action}})
	}
	raw, err := proto.Marshal(&id)
	require.NoError(t, err)
	made, err := macaroon.New([]byte("root"), append([]byte{3}, raw...), "lnd", macaroon.LatestVersion)
	require.NoError(t, err)
	raw, err = made.MarshalBinary()
	require.NoError(t, err)

	return write(t, string(raw), 0o600)
}

func uris(all ...[]string) []string {
	var operations []string
	for _, list := range all {
		for _, uri := range list {
			operations = append(operations, "uri:"+uri)
		}
	}

	return operations
}

// good is an installation without a fault, as far as nobody is asked.
func good(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Defaults()
	env := &cfg.Sandbox
	env.DatabaseURL = "postgres://lntpay:hunter2@127.0.0.1:1/db"
	env.Temporal.Address, env.Temporal.Namespace = "127.0.0.1:1", "lntpay-sandbox"
	env.SecretsKeyFile = write(t, strings.Repeat("ab", 32)+"\n", 0o600)
	env.PreimageKeyFile = write(t, strings.Repeat("cd", 32), 0o400)
	env.Node = config.Node{
		Name: "one", Network: "regtest", Address: "127.0.0.1:1", TLSCertFile: write(t, "x", 0o644), Pubkey: "02",
		MacaroonFile: bake(t, uris(lightning.ReceivePermissions())...), SpendMacaroonFile: bake(t, uris(lightning.SpendPermissions())...),
	}

	return &cfg
}

var worker = check.Parts{Worker: true}

func TestStaticFindsNothing(t *testing.T) {
	t.Parallel()
	for _, line := range check.Static(good(t), worker).Lines {
		require.Equal(t, check.OK, line.Level, line)
	}
}

// Each fault has one line, which names its setting and no secret.
func TestStatic(t *testing.T) {
	t.Parallel()
	api, both := check.Parts{API: true}, check.Parts{API: true, Worker: true}
	for name, test := range map[string]struct {
		parts  check.Parts
		change func(cfg *config.Config, env *config.Environment)
		want   []string
	}{
		"no environment": {both, func(cfg *config.Config, _ *config.Environment) { cfg.Sandbox.DatabaseURL = "" }, []string{"error settings: no environment"}},
		"no node": {worker, func(_ *config.Config, e *config.Environment) { e.Node = config.Node{} }, []string{
			"error settings: sandbox.node.address is required", "error settings: sandbox.node.macaroon_file is required",
			"error settings: sandbox.node.name", "error settings: sandbox.node.network", "error settings: sandbox.node.pubkey",
			"error settings: sandbox.node.tls_cert_file",
		}},
		"missing files": {worker, func(_ *config.Config, e *config.Environment) {
			e.SecretsKeyFile, e.Node.TLSCertFile, e.Node.MacaroonFile = "/none", "/none", "/none"
		}, []string{"error sandbox.secrets_key_file: open /none", "error sandbox.node.tls_cert_file: open /none", "error sandbox.node.macaroon_file: open /none"}},
		"a key that is none": {both, func(_ *config.Config, e *config.Environment) { e.PreimageKeyFile = write(t, "hunter2", 0o600) },
			[]string{"error sandbox.preimage_key_file: "}},
		"an old key that is none": {worker, func(_ *config.Config, e *config.Environment) {
			e.OldPreimageKeyFiles = []string{write(t, strings.Repeat("0", 63), 0o600)}
		}, []string{"error sandbox.old_preimage_key_files: "}},
		"a key for everybody": {worker, func(_ *config.Config, e *config.Environment) {
			e.PreimageKeyFile = write(t, strings.Repeat("cd", 32), 0o644)
		}, []string{"warning sandbox.preimage_key_file: "}},
		"a macaroon that lacks something": {worker, func(_ *config.Config, e *config.Environment) {
			e.Node.SpendMacaroonFile = bake(t, uris(lightning.SpendPermissions()[1:])...)
		}, []string{"error sandbox.node.spend_macaroon_file: "}},
		"an admin's macaroon": {worker, func(_ *config.Config, e *config.Environment) {
			e.Node.MacaroonFile = bake(t, "info:read", "invoices:read", "invoices:write", "offchain:read", "offchain:write", "onchain:read", "onchain:write")
			e.Node.SpendMacaroonFile = ""
		}, []string{"warning sandbox.node.macaroon_file: ", "note sandbox.node.spend_macaroon_file: "}},
		"the spending macaroon for both": {worker, func(_ *config.Config, e *config.Environment) { e.Node.MacaroonFile = e.Node.SpendMacaroonFile },
			[]string{"error sandbox.node.macaroon_file: "}},
		"no macaroon": {worker, func(_ *config.Config, e *config.Environment) { e.Node.MacaroonFile = write(t, "hunter2", 0o600) },
			[]string{"error sandbox.node.macaroon_file: "}},
		"an api with the worker's secrets": {api, func(*config.Config, *config.Environment) {}, []string{
			"warning sandbox.preimage_key_file: ", "warning sandbox.node.macaroon_file: ", "warning sandbox.node.spend_macaroon_file: ",
		}},
		"a DSN that is none": {worker, func(_ *config.Config, e *config.Environment) { e.DatabaseURL = "postgres://a:hunter2@h:port/x" },
			[]string{"error sandbox.database_url: "}},
		"Postgres elsewhere, sslmode of the driver": {worker, func(_ *config.Config, e *config.Environment) { e.DatabaseURL = "postgres://a:hunter2@db/x" },
			[]string{"warning sandbox.database_url: db is not this host"}},
		"Postgres elsewhere, unchecked": {worker, func(_ *config.Config, e *config.Environment) {
			e.DatabaseURL = "postgres://a:hunter2@db/x?sslmode=require"
		}, []string{"warning sandbox.database_url: the certificate"}},
		"Postgres elsewhere, checked": {worker, func(_ *config.Config, e *config.Environment) {
			e.DatabaseURL = "postgres://a:hunter2@db/x?sslmode=verify-full"
		}, nil},
		"Temporal elsewhere": {worker, func(_ *config.Config, e *config.Environment) { e.Temporal.Address = "temporal:7233" },
			[]string{"warning sandbox.temporal.tls.enabled: "}},
		"Temporal in public": {worker, func(_ *config.Config, e *config.Environment) {
			e.Temporal.Address, e.Temporal.TLS.Enabled = "8.8.8.8:7233", true
		}, []string{"warning sandbox.temporal.address: "}},
		"Temporal's files": {worker, func(_ *config.Config, e *config.Environment) {
			e.Temporal.TLS = config.TLS{Enabled: true, CAFile: write(t, "x", 0o600)}
		}, []string{"error sandbox.temporal.tls: ca_file"}},
		"addresses": {api, func(cfg *config.Config, e *config.Environment) {
			e.PreimageKeyFile, e.Node = "", config.Node{}
			cfg.API.Listen, cfg.API.OperatorListen, cfg.API.TLSCertFile, cfg.API.TLSKeyFile = "0.0.0.0:8080", ":8081", "/none", "/none"
		}, []string{"warning api.operator_listen: ", "error api: api.tls_cert_file"}},
		"public addresses": {worker, func(cfg *config.Config, _ *config.Environment) { cfg.Worker.OperatorListen = "1.2.3.4:1" },
			[]string{"warning worker.operator_listen: "}},
		"api without TLS": {api, func(cfg *config.Config, e *config.Environment) {
			e.PreimageKeyFile, e.Node, cfg.API.Listen = "", config.Node{}, "10.0.0.1:80"
		}, []string{"note api.listen: "}},
		"no limit": {worker, func(_ *config.Config, e *config.Environment) { e.Payouts.NodeOpen = 0 }, []string{"note sandbox.payouts.node_open: 0 is no limit"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good(t)
			test.change(cfg, &cfg.Sandbox)
			report := check.Static(cfg, test.parts)
			var faults []string
			for _, line := range report.Lines {
				require.NotContains(t, line.String(), "hunter2")
				require.NotContains(t, line.Text, "\n")
				if line.Level != check.OK {
					faults = append(faults, string(line.Level)+" "+line.Subject+": "+line.Text)
				}
			}
			require.Len(t, faults, len(test.want), faults)
			for i, want := range test.want {
				require.True(t, strings.HasPrefix(faults[i], want), "%q does not begin with %q", faults[i], want)
			}
			require.Equal(t, report.Count(check.Error) == 0, report.OK)
		})
	}
}

// What cannot be reached has one line each, and the errors of the settings are
// told too.
func TestAllTellsEverythingAtOnce(t *testing.T) {
	cfg := good(t)
	report := check.All(t.Context(), cfg, errors.Join(errors.New("b: wrong"), errors.New("a: wrong")), check.Parts{API: true, Worker: true})
	require.False(t, report.OK)
	var out bytes.Buffer
	report.Print(&out)
	require.NotContains(t, out.String(), "hunter2")
	require.True(t, strings.HasPrefix(out.String(), "error    settings: a: wrong\nerror    settings: b: wrong\n"), out.String())
	for _, subject := range []string{"sandbox.database_url: ", "sandbox.temporal: ", "sandbox.node: "} {
		require.Contains(t, out.String(), "\nerror    "+subject)
	}
	require.Contains(t, out.String(), "5 errors, 0 warnings, 0 notes\n")
	out.Reset()
	require.NoError(t, report.PrintJSON(&out))
	var read check.Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &read))
	require.Equal(t, report, read)
	require.ErrorContains(t, &check.RefusalError{Report: report}, "error    settings: a: wrong")
}

func TestPostgres(t *testing.T) {
	cfg := good(t)
	about := func(want check.Level, text string) {
		t.Helper()
		for _, line := range check.All(t.Context(), cfg, nil, check.Parts{API: true}).Lines {
			if line.Subject == "sandbox.database_url" {
				require.Equal(t, want, line.Level, line)
				require.Contains(t, line.Text, text)

				return
			}
		}
		t.Error("nothing is said of the database")
	}
	cfg.Sandbox.DatabaseURL = storetest.NewDatabase(t)
	about(check.Warning, "may change transfers")
	runtime, err := pgx.ParseConfig(cfg.Sandbox.DatabaseURL)
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(t.Context(), runtime)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	role := "check_" + runtime.Database
	_, err = conn.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN PASSWORD 'x'")
	require.NoError(t, err)
	owner := cfg.Sandbox.DatabaseURL
	require.NoError(t, store.Migrate(t.Context(), payments.Sandbox, owner, role))
	limited, err := url.Parse(owner)
	require.NoError(t, err)
	limited.User = url.UserPassword(role, "x")
	cfg.Sandbox.DatabaseURL = limited.String()
	about(check.OK, "migrated")
	for _, one := range []struct{ change, want string }{
		{"UPDATE goose_db_version SET version_id = version_id + 1000 WHERE version_id = (SELECT max(version_id) FROM goose_db_version)", "run a newer one"},
		{"DELETE FROM goose_db_version WHERE version_id > 1000", "run lntpay migrate"},
		{"UPDATE environment SET name = 'production'", "is the database of production"},
		{"DROP TABLE environment", "not migrated"},
	} {
		_, err := conn.Exec(t.Context(), one.change)
		require.NoError(t, err, one.change)
		about(check.Error, one.want)
	}
	_, err = conn.Exec(t.Context(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
	require.NoError(t, err)
}
