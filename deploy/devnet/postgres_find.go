package devnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

// oldestPostgres is the oldest major version that Temporal's schema and ours
// are run on.
const oldestPostgres = 13

// postgresInstall is a folder with initdb and postgres.
type postgresInstall struct {
	bin   string
	major int
}

// findPostgres finds an installation that can run the data in dataDir, which
// may not exist yet: on PATH, then under the distributions' folders with the
// newest first, then a download.
func findPostgres(ctx context.Context, dataDir string) (postgresInstall, error) {
	want := dataVersion(dataDir)
	var seen []string
	for _, install := range installedPostgres(ctx) {
		if install.major == want || (want == 0 && install.major >= oldestPostgres) {
			return install, nil
		}
		seen = append(seen, fmt.Sprintf("%d in %s", install.major, install.bin))
	}
	install, err := downloadPostgres(ctx, cmp.Or(want, downloadedMajor))
	if err == nil {
		return install, nil
	}
	need := fmt.Sprintf("Postgres %d or newer", oldestPostgres)
	if want != 0 {
		need = fmt.Sprintf("Postgres %d (the version that made %s)", want, dataDir)
	}
	found := "none is installed"
	if len(seen) > 0 {
		found = "found only " + strings.Join(seen, ", ")
	}

	return postgresInstall{}, fmt.Errorf("%s is needed and %s; downloading one failed: %w\n"+
		"Install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; "+
		"macOS: brew install postgresql), or give a running server with --database-url", need, found, err)
}

// PostgresProgram finds a program, such as pg_dump, of the installation that
// StartPostgres runs. What is on PATH may be links to its programs, and not to
// all of them.
func PostgresProgram(ctx context.Context, name string) (path string, err error) {
	install, err := findPostgres(ctx, "")
	if err != nil {
		return "", err
	}
	server, err := filepath.EvalSymlinks(filepath.Join(install.bin, "postgres"))
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	path = filepath.Join(filepath.Dir(server), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}

	return path, nil
}

// dataVersion is the major version that made a data folder, 0 for none.
func dataVersion(dataDir string) int {
	text, err := os.ReadFile(filepath.Join(dataDir, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))

	return major
}

// installedPostgres lists the installations of this machine in order of
// preference.
func installedPostgres(ctx context.Context) []postgresInstall {
	folders := filepath.SplitList(os.Getenv("PATH"))
	var installs []postgresInstall
	for _, folder := range folders {
		if install, ok := inspectPostgres(ctx, folder); ok {
			installs = append(installs, install)
		}
	}
	var packaged []postgresInstall
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", // Debian; the PGDG packages for Fedora
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		matches, _ := filepath.Glob(pattern)
		for _, folder := range matches {
			if install, ok := inspectPostgres(ctx, folder); ok {
				packaged = append(packaged, install)
			}
		}
	}
	slices.SortStableFunc(packaged, func(a, b postgresInstall) int { return b.major - a.major })

	return append(installs, packaged...)
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspectPostgres reports whether a folder holds an installation.
func inspectPostgres(ctx context.Context, folder string) (postgresInstall, bool) {
	for _, program := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(folder, program)); err != nil || info.Mode().Perm()&0o111 == 0 {
			return postgresInstall{}, false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(folder, "postgres"), "--version").Output()
	match := postgresVersion.FindSubmatch(out)
	if err != nil || match == nil {
		return postgresInstall{}, false
	}
	major, _ := strconv.Atoi(string(match[1]))

	return postgresInstall{bin: folder, major: major}, true
}

// downloadedMajor is the version downloaded for new data.
const downloadedMajor = 17

// downloads are the versions that embedded-postgres can download.
func downloads() map[int]embeddedpostgres.PostgresVersion {
	return map[int]embeddedpostgres.PostgresVersion{
		18: embeddedpostgres.V18, 17: embeddedpostgres.V17, 16: embeddedpostgres.V16, 15: embeddedpostgres.V15,
		14: embeddedpostgres.V14, 13: embeddedpostgres.V13,
	}
}

// downloadPostgres unpacks embedded-postgres's build into a cache. That
// library only starts whole servers, and as root it cannot even do that, so a
// scratch server is started for the sake of its download, and what counts is
// whether the programs are there afterwards.
func downloadPostgres(ctx context.Context, major int) (postgresInstall, error) {
	version, ok := downloads()[major]
	if !ok {
		return postgresInstall{}, fmt.Errorf("there is no download of Postgres %d", major)
	}
	cache, err := postgresCache(major)
	if err != nil {
		return postgresInstall{}, err
	}
	bin := filepath.Join(cache, "bin")
	if install, ok := inspectPostgres(ctx, bin); ok {
		return install, nil
	}
	port, err := freeport.Take(1)
	if err != nil {
		return postgresInstall{}, err
	}
	scratch, err := os.MkdirTemp("", "lntpay-postgres-")
	if err != nil {
		return postgresInstall{}, fmt.Errorf("make a scratch folder: %w", err)
	}
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().Version(version).
		CachePath(filepath.Dir(cache)).BinariesPath(cache).
		RuntimePath(filepath.Join(scratch, "run")).DataPath(filepath.Join(scratch, "data")).
		Port(uint32(port)).StartTimeout(30 * time.Second).Logger(io.Discard))
	started := make(chan error, 1)
	go func() {
		defer func() { _ = os.RemoveAll(scratch) }()
		err := server.Start()
		if err == nil {
			err = server.Stop()
		}
		started <- err
	}()
	// The library's download takes no context: it is left behind at the
	// deadline and ends with the process.
	select {
	case err = <-started:
	case <-ctx.Done():
		return postgresInstall{}, fmt.Errorf("download Postgres: %w", ctx.Err())
	}
	install, ok := inspectPostgres(ctx, bin)
	if !ok {
		return postgresInstall{}, errors.Join(err, errors.New("no programs were unpacked"))
	}

	return install, nil
}

// postgresCache is where a download is kept: in a folder that the user whom
// Postgres runs as can read.
func postgresCache(major int) (string, error) {
	name := "postgres-" + strconv.Itoa(major)
	if os.Geteuid() == 0 {
		return filepath.Join(systemStateDir, name), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}

	return filepath.Join(cache, "lntpay", name), nil
}
