package devnet

import (
	"context"
	"crypto/sha256"
	_ "embed" // For visibilityIndexes and temporalSettings.
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// TemporalPorts are the ports of a Temporal server on loopback.
type TemporalPorts struct {
	// Frontend is where clients connect.
	Frontend, HTTP            int
	History, Matching, Worker int
	// Membership is the first of four ports in a row.
	Membership int
}

// TemporalPortCount is how many ports a Temporal server takes from its base.
const TemporalPortCount = 9

// TemporalPortsFrom lays a Temporal server's ports out from base.
func TemporalPortsFrom(base int) TemporalPorts {
	return TemporalPorts{
		Frontend: base, HTTP: base + 1, History: base + 2, Matching: base + 3, Worker: base + 4, Membership: base + 5,
	}
}

// The databases of a Temporal server, by the folder of their schema.
var temporalDatabases = map[string]string{"temporal": "temporal", "temporal_visibility": "visibility"}

// TemporalOptions say how a Temporal server is run.
type TemporalOptions struct {
	// Dir is its state folder.
	Dir string
	// DSN is of a Postgres role that may create databases.
	DSN   string
	Ports TemporalPorts
	Log   string
	// Tools are the paths of the server and of the schema tool.
	Tools map[tools.Name]string
}

// StartTemporal runs the stock Temporal server on a Postgres, for tests: dsn
// is of a role that may create databases. It gives the frontend's address.
// Nothing but the system namespace exists yet.
func StartTemporal(ctx context.Context, dir, dsn string, ports TemporalPorts) (addr string, stop func(), err error) {
	built, err := tools.Build(ctx, nil, tools.TemporalServer, tools.TemporalSQLTool)
	if err != nil {
		return "", nil, err
	}
	options := TemporalOptions{
		Dir: dir, DSN: dsn, Ports: ports, Log: filepath.Join(dir, "temporal.log"), Tools: built,
	}
	spec, err := temporalSpec(ctx, options)
	if err != nil {
		return "", nil, err
	}
	server, err := Start(ctx, spec)
	if err != nil {
		return "", nil, err
	}

	return address(ports.Frontend), server.Stop, nil
}

// temporalSpec brings the schema up to date and says how the server is run.
func temporalSpec(ctx context.Context, o TemporalOptions) (Spec, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return Spec{}, fmt.Errorf("make the folder of Temporal: %w", err)
	}
	settings := filepath.Join(o.Dir, "dynamicconfig.yaml")
	if err := os.WriteFile(settings, []byte(temporalSettings), 0o600); err != nil {
		return Spec{}, fmt.Errorf("write Temporal's dynamic config: %w", err)
	}
	db, err := parsePostgres(o.DSN)
	if err != nil {
		return Spec{}, err
	}
	if err := o.migrate(ctx, db); err != nil {
		return Spec{}, err
	}
	p := o.Ports
	env := []string{
		"DB=postgres12_pgx", "POSTGRES_SEEDS=" + db.Host, fmt.Sprintf("DB_PORT=%d", db.Port),
		"POSTGRES_USER=" + db.User, "POSTGRES_PWD=" + db.Password,
		"DBNAME=temporal", "VISIBILITY_DBNAME=temporal_visibility",
		"NUM_HISTORY_SHARDS=4", "SQL_MAX_CONNS=40", "BIND_ON_IP=127.0.0.1",
		"DYNAMIC_CONFIG_FILE_PATH=" + settings, "LOG_LEVEL=warn",
		// A fifth of its processor time was garbage collection.
		"GOGC=1000", "GOMEMLIMIT=1GiB",
	}
	for name, port := range map[string]int{
		"FRONTEND_GRPC_PORT": p.Frontend, "FRONTEND_HTTP_PORT": p.HTTP, "HISTORY_GRPC_PORT": p.History,
		"MATCHING_GRPC_PORT": p.Matching, "WORKER_GRPC_PORT": p.Worker,
		"FRONTEND_MEMBERSHIP_PORT": p.Membership, "HISTORY_MEMBERSHIP_PORT": p.Membership + 1,
		"MATCHING_MEMBERSHIP_PORT": p.Membership + 2, "WORKER_MEMBERSHIP_PORT": p.Membership + 3,
	} {
		env = append(env, name+"="+strconv.Itoa(port))
	}

	return Spec{
		Name: "temporal", Path: o.Tools[tools.TemporalServer], Args: func() []string { return []string{"start"} },
		Env: env, Dir: o.Dir, Log: o.Log, Keep: true, StopWithin: 15 * time.Second,
		Ready: func(ctx context.Context) error { return temporalHealthy(ctx, address(p.Frontend)) },
	}, nil
}

// temporalSettings is the server's dynamic config for one machine.
//
//go:embed temporal_dynamic.yaml
var temporalSettings string

// migrate creates what databases are missing and brings their schema up to
// date. A marker names the tool that did it last, since even finding that
// there is nothing to do takes the tool a second for each database.
func (o TemporalOptions) migrate(ctx context.Context, db *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tool := o.Tools[tools.TemporalSQLTool]
	marker := filepath.Join(o.Dir, "schema")
	done, _ := os.ReadFile(marker)
	want := fmt.Sprintf("%s %x", tool, sha256.Sum256([]byte(visibilityIndexes)))
	missing, err := missingDatabases(ctx, o.DSN, temporalDatabases)
	if err != nil {
		return err
	}
	if string(done) == want && len(missing) == 0 {
		return nil
	}
	for name, schema := range temporalDatabases {
		if missing[name] {
			if err := runSQLTool(ctx, tool, db, name, "create"); err != nil {
				return err
			}
		}
		if versioned, err := hasSchemaVersion(ctx, db, name); err != nil {
			return err
		} else if !versioned {
			if err := runSQLTool(ctx, tool, db, name, "setup-schema", "-v", "0.0"); err != nil {
				return err
			}
		}
		if err := runSQLTool(ctx, tool, db, name, "update-schema", "--schema-name", "postgresql/v12/"+schema); err != nil {
			return err
		}
	}
	if err := o.slimVisibility(ctx, db); err != nil {
		return err
	}
	if err := os.WriteFile(marker, []byte(want), 0o600); err != nil {
		return fmt.Errorf("note Temporal's schema: %w", err)
	}

	return nil
}

// visibilityIndexes drops the indexes that nothing here uses.
//
//go:embed visibility_indexes.sql
var visibilityIndexes string

// slimVisibility runs visibilityIndexes.
func (o TemporalOptions) slimVisibility(ctx context.Context, db *pgx.ConnConfig) error {
	config := db.Copy()
	config.Database = "temporal_visibility"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to Temporal's visibility database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, visibilityIndexes); err != nil {
		return fmt.Errorf("drop unused indexes of Temporal's visibility: %w", err)
	}

	return nil
}

// hasSchemaVersion reports whether setup-schema was run on a database. A first
// start that is interrupted leaves one without.
func hasSchemaVersion(ctx context.Context, db *pgx.ConnConfig, name string) (bool, error) {
	config := db.Copy()
	config.Database = name
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, fmt.Errorf("connect to the database %s: %w", name, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var has bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('schema_version') IS NOT NULL").Scan(&has); err != nil {
		return false, fmt.Errorf("look for Temporal's schema in %s: %w", name, err)
	}

	return has, nil
}

// runSQLTool runs temporal-sql-tool once. The password goes by environment:
// arguments are for everybody to read.
func runSQLTool(ctx context.Context, tool string, db *pgx.ConnConfig, database string, args ...string) error {
	cmd := exec.CommandContext(ctx, tool, append([]string{
		"--plugin", "postgres12_pgx", "--ep", db.Host, "-p", strconv.Itoa(int(db.Port)), "-u", db.User, "--db", database,
	}, args...)...)
	cmd.Env = append(bareEnv(""), "SQL_PASSWORD="+db.Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("temporal-sql-tool %s on %s: %w\n%s", args[0], database, err, out)
	}

	return nil
}

// temporalHealthy reports whether a server takes work.
func temporalHealthy(ctx context.Context, addr string) error {
	// A dial that fails costs less than a gRPC client that retries with backoff.
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_ = conn.Close()
	temporal, err := client.NewLazyClient(client.Options{HostPort: addr, Namespace: "temporal-system", Logger: silent{}})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer temporal.Close()
	if _, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	// A frontend calls itself healthy before it has found the history service.
	// That a workflow does not exist is what history says.
	_, err = temporal.DescribeWorkflowExecution(ctx, "lntpay-probe", "")
	if _, ok := errors.AsType[*serviceerror.NotFound](err); !ok {
		return fmt.Errorf("ask the history service: %w", err)
	}

	return nil
}

// silent is a logger for probes, whose failures are expected.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

// parsePostgres reads the DSN of a server that Temporal can be pointed at.
func parsePostgres(dsn string) (*pgx.ConnConfig, error) {
	db, err := pgx.ParseConfig(dsn)
	if err != nil {
		// pgx names the DSN without its password.
		return nil, fmt.Errorf("read the Postgres DSN: %w", err)
	}
	if strings.HasPrefix(db.Host, "/") {
		return nil, errors.New("the Postgres DSN names a socket; Temporal needs a host and a port")
	}

	return db, nil
}
