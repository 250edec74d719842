package devnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the bootstrap role of a Postgres that we make.
const superuser = "postgres"

// PostgresOptions say how a Postgres server of our own is run.
type PostgresOptions struct {
	// Dir is its state folder. The data may lie elsewhere when we are root and
	// Postgres's user cannot reach Dir.
	Dir string
	// Port is on loopback.
	Port int
	// Password of the superuser, set when the data is made.
	Password string
	// Log takes its output.
	Log string
}

// StartPostgres runs a Postgres server of its own in dir, for tests, and gives
// the superuser's DSN. Its data survives a stop. When ctx has no deadline the
// start has one of a minute.
func StartPostgres(ctx context.Context, dir string, port int) (dsn string, stop func(), err error) {
	options := PostgresOptions{Dir: dir, Port: port, Password: "postgres", Log: filepath.Join(dir, "postgres.log")}
	if err := openTemporary(dir); err != nil {
		return "", nil, err
	}
	spec, err := postgresSpec(ctx, options)
	if err != nil {
		return "", nil, err
	}
	server, err := Start(ctx, spec)
	if err != nil {
		return "", nil, err
	}

	return options.dsn(), server.Stop, nil
}

// openTemporary lets other users pass through a test's temporary folder, which
// testing makes for our eyes only, so that Postgres run by root can have its
// data there and not where no test cleans up.
func openTemporary(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	temporary := filepath.Clean(os.TempDir())
	for ; strings.HasPrefix(dir, temporary+string(filepath.Separator)); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, info.Mode().Perm()|0o111)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("open a temporary folder for Postgres: %w", err)
		}
	}

	return nil
}

// postgresSpec prepares the data and says how the server is run.
func postgresSpec(ctx context.Context, o PostgresOptions) (Spec, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return Spec{}, fmt.Errorf("make the folder of Postgres: %w", err)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Spec{}, fmt.Errorf("find the folder of Postgres: %w", err)
	}
	runAs, err := postgresUser()
	if err != nil {
		return Spec{}, err
	}
	data, err := runAs.dataDir(dir, "postgres")
	if err != nil {
		return Spec{}, err
	}
	install, err := findPostgres(ctx, data)
	if err != nil {
		return Spec{}, err
	}
	if dataVersion(data) == 0 {
		if err := initdb(ctx, install, runAs, data, o.Password); err != nil {
			return Spec{}, err
		}
	}

	return o.spec(install, runAs, data), nil
}

// spec is the server's command line. fsync stays on: what the stack shows
// about crashes should be true. Sockets are off, since the folder for them
// would have to be writable by Postgres's user and shorter than 108 bytes.
func (o PostgresOptions) spec(install postgresInstall, runAs *User, data string) Spec {
	args := []string{"-D", data, "-p", strconv.Itoa(o.Port)}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300",
		"log_checkpoints=off",
		// Small commits are all that happens here: less log for each, and
		// checkpoints, after which every page is logged whole, far apart.
		"wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "checkpoint_timeout=30min",
		"shared_buffers=256MB", "jit=off",
	} {
		args = append(args, "-c", setting)
	}

	return Spec{
		Name: "postgres", Path: filepath.Join(install.bin, "postgres"), Args: func() []string { return args },
		Dir: data, Log: o.Log, User: runAs,
		// SIGINT is the fast shutdown: it rolls open transactions back. Orphaned
		// by us it takes SIGQUIT, so that it can end its children, and recovers
		// from the log at the next start.
		Stop: syscall.SIGINT, StopWithin: 30 * time.Second, Orphaned: syscall.SIGQUIT,
		// A postmaster that was killed leaves children that hold the data for a
		// while; starts fail until they are gone, and are repeated.
		Keep:  true,
		Ready: func(ctx context.Context) error { return pingPostgres(ctx, o.dsn()) },
	}
}

// dsn is the superuser's.
func (o PostgresOptions) dsn() string {
	return postgresDSN(address(o.Port), superuser, o.Password, "postgres")
}

// initdb makes the data in a scratch folder and renames it, so that a start
// that is interrupted leaves nothing that looks like a database.
func initdb(ctx context.Context, install postgresInstall, runAs *User, data, password string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	scratch := data + ".new"
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("clear an interrupted initdb: %w", err)
	}
	if err := runAs.own(scratch); err != nil {
		return err
	}
	cluster := filepath.Join(scratch, "data")
	secret := filepath.Join(scratch, "password")
	if err := runAs.write(secret, password); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(install.bin, "initdb"), "-D", cluster, "-U", superuser,
		"--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--pwfile="+secret, "--no-instructions")
	cmd.Dir, cmd.Env = scratch, bareEnv(scratch)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(runAs)}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	if err := os.Rename(cluster, data); err != nil {
		return fmt.Errorf("put the made database in place: %w", err)
	}

	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("clear up after initdb: %w", err)
	}

	return nil
}

// pingPostgres reports whether a server answers.
func pingPostgres(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	return conn.Ping(ctx)
}

// postgresDSN writes a DSN.
func postgresDSN(hostPort, user, password, database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: hostPort, Path: database,
		RawQuery: "sslmode=disable",
	}

	return dsn.String()
}
