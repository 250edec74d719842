package main

import (
	"context"
	_ "embed" // For the Dockerfiles and the entrypoint.
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// image is one image and what goes into it.
type image struct {
	name string
	// variable is what docker-compose.yml calls the image by.
	variable   string
	dockerfile string
	// files makes the build context.
	files func(context.Context) ([]file, error)
	// rootfs makes the file rootfs.tar of the build context when it is needed;
	// inputs then stand for its content, which differs from day to day.
	rootfs func(ctx context.Context, say func(string)) ([]byte, error)
	inputs []string
	// refreshes says that the same content may be other packages tomorrow.
	refreshes bool
}

// local is the tag that each build moves.
func (i image) local() string { return "lntpay/" + i.name + ":local" }

//go:embed postgres/entrypoint.sh
var postgresEntrypoint []byte

// catalog says what the images are, those that others are built on first.
func catalog(root string, say func(string)) ([]image, error) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "Dockerfile"))
	if err != nil {
		return nil, err
	}
	lntpay, err := lastStage(string(text))
	if err != nil {
		return nil, err
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, fmt.Errorf("which Debian is this? %w", err)
	}
	b := builder{root: root, say: say}

	return []image{
		{name: "lntpay", variable: "LNTPAY_IMAGE", dockerfile: lntpay, files: func(ctx context.Context) ([]file, error) {
			return b.lntpay(ctx, lntpay)
		}},
		{
			name: "postgres", variable: "POSTGRES_IMAGE", dockerfile: postgresDockerfile,
			files: func(context.Context) ([]file, error) {
				return []file{{path: "entrypoint.sh", content: postgresEntrypoint, mode: 0o755}}, nil
			},
			rootfs: postgresRootfs, inputs: []string{string(release), rootfsVersion}, refreshes: true,
		},
		{
			name: "temporal-admin-tools", variable: "TEMPORAL_ADMIN_IMAGE", dockerfile: adminToolsDockerfile, refreshes: true,
			files: b.tool(tools.TemporalSQLTool),
		},
		{name: "temporal", variable: "TEMPORAL_IMAGE", dockerfile: temporalDockerfile, files: b.tool(tools.TemporalServer)},
		{name: "temporal-ui", variable: "TEMPORAL_UI_IMAGE", dockerfile: temporalUIDockerfile, files: b.temporalUI},
		{name: "caddy", variable: "CADDY_IMAGE", dockerfile: caddyDockerfile, files: b.caddy},
		{name: "btcd", variable: "BTCD_IMAGE", dockerfile: btcdDockerfile, files: b.tool(tools.Btcd)},
		{name: "lnd", variable: "LND_IMAGE", dockerfile: lndDockerfile, files: b.tool(tools.Lnd)},
	}, nil
}

// postgresLocal is what others are built on; the build puts the content's tag
// in its place.
const postgresLocal = "lntpay/postgres:local"

const (
	// There is no /etc/passwd to look the user up in, and it wants to know.
	temporalDockerfile = "FROM scratch\nCOPY temporal-server /\nENV USER=temporal HOME=/tmp\nUSER 1000:1000\n" +
		"CMD [\"/temporal-server\", \"start\"]\n"

	temporalUIDockerfile = "FROM scratch\nCOPY temporal-ui /\nCOPY docker.yaml /config/\nUSER 1000:1000\nEXPOSE 8080\n" +
		"ENTRYPOINT [\"/temporal-ui\", \"--root\", \"/\", \"--env\", \"docker\", \"start\"]\n"

	caddyDockerfile = "FROM scratch\nCOPY caddy /usr/bin/\nCOPY ca-certificates.crt /etc/ssl/certs/\n" +
		"ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data\n" +
		"CMD [\"/usr/bin/caddy\", \"run\", \"--config\", \"/etc/caddy/Caddyfile\", \"--adapter\", \"caddyfile\"]\n"

	btcdDockerfile = "FROM scratch\nCOPY btcd /bin/\nUSER 65532:65532\nENTRYPOINT [\"/bin/btcd\"]\n"
	lndDockerfile  = "FROM scratch\nCOPY lnd /bin/\nUSER 65532:65532\nENTRYPOINT [\"/bin/lnd\"]\n"

	// The folders of rootfs.tar have their owners in it. A library that is missing
	// fails the build.
	postgresDockerfile = "FROM scratch\nADD rootfs.tar /\nCOPY entrypoint.sh /usr/local/bin/\n" +
		"ENV PGDATA=/var/lib/postgresql/data LANG=C.UTF-8 PATH=/usr/local/bin:/usr/lib/postgresql/bin:/usr/bin:/bin\n" +
		"RUN postgres --version && initdb --version && psql --version && pg_dump --version && pg_basebackup --version\n" +
		"VOLUME /var/lib/postgresql/data\nUSER postgres\nSTOPSIGNAL SIGINT\nEXPOSE 5432\n" +
		"ENTRYPOINT [\"/usr/local/bin/entrypoint.sh\"]\nCMD [\"postgres\"]\n"

	// The schema job needs a shell, which that of Postgres has.
	adminToolsDockerfile = "FROM " + postgresLocal + "\nCOPY temporal-sql-tool /usr/local/bin/\nENTRYPOINT []\nCMD [\"sh\"]\n"
)

// builder makes the build contexts.
type builder struct {
	root string
	say  func(string)
}

// tool is a build context of one pinned program.
func (b builder) tool(name tools.Name) func(context.Context) ([]file, error) {
	return func(ctx context.Context) ([]file, error) {
		built, err := tools.Build(ctx, b.say, name)
		if err != nil {
			return nil, err
		}

		return []file{{path: string(name), from: built[name], mode: 0o755}}, nil
	}
}

func (b builder) caddy(ctx context.Context) ([]file, error) {
	files, err := b.tool(tools.Caddy)(ctx)
	if err != nil {
		return nil, err
	}
	certificates, err := certificatesOfHost("ca-certificates.crt")

	return append(files, certificates), err
}

// temporalUI adds the settings of the official image, which read its variables.
func (b builder) temporalUI(ctx context.Context) ([]file, error) {
	files, err := b.tool(tools.TemporalUI)(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := b.moduleFile(ctx, "ui", "github.com/temporalio/ui-server/v2", "config/docker.yaml")

	return append(files, file{path: "docker.yaml", content: settings, mode: 0o644}), err
}

// lntpay is the build context of deploy/Dockerfile's last stage, with a binary
// that is built here: what tests run is what the Dockerfile makes.
func (b builder) lntpay(ctx context.Context, dockerfile string) ([]file, error) {
	binary := filepath.Join(b.root, ".lntpay", "images", "lntpay")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, ".")
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	certificates, err := certificatesOfHost("out/certs/ca-certificates.crt")
	if err != nil {
		return nil, err
	}
	files := []file{{path: "out/lntpay", from: binary, mode: 0o755}, certificates}
	for _, name := range volumes(dockerfile) {
		files = append(files, file{path: "out/volumes/" + name, folder: true, mode: 0o700})
	}

	return files, nil
}

// lastStage is a Dockerfile's last stage, with what it copies from the first
// stage taken from the build context.
func lastStage(text string) (string, error) {
	_, stage, found := strings.Cut(text, "\nFROM scratch\n")
	if !found || strings.Contains("\n"+stage, "\nFROM ") {
		return "", errors.New("deploy/Dockerfile: the last of two stages is not FROM scratch")
	}

	return "FROM scratch\n" + strings.ReplaceAll(stage, "--from=build ", ""), nil
}

// volumes are the folders of the Dockerfile's label: the first stage makes them.
func volumes(dockerfile string) []string {
	for line := range strings.Lines(dockerfile) {
		if list, found := strings.CutPrefix(line, "LABEL com.lntpay.volumes="); found {
			return strings.Fields(strings.Trim(strings.TrimSpace(list), `"`))
		}
	}

	return nil
}

// certificatesOfHost are the authorities that this machine trusts.
func certificatesOfHost(path string) (file, error) {
	paths := []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}
	at := slices.IndexFunc(paths, func(path string) bool {
		_, err := os.Stat(path)

		return err == nil
	})
	if at < 0 {
		return file{}, fmt.Errorf("no certificates of authorities (install ca-certificates): none of %v", paths)
	}

	return file{path: path, from: paths[at], mode: 0o644}, nil
}

// moduleFile reads a file of a tool's module, at the version that is pinned.
func (b builder) moduleFile(ctx context.Context, tool, module, path string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(b.root, "deploy", "devnet", "tools", tool)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", module, err)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("download %s: %w", module, err)
	}

	return os.ReadFile(filepath.Join(answer.Dir, path))
}
