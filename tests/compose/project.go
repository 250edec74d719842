package compose

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/deploy/devnet/tools"
	"github.com/lntpay/lntpay/tests/regtest"
)

const (
	// imagesTimeout includes tools from an empty cache.
	imagesTimeout = 40 * time.Minute
	// upTimeout is from nothing to a proxy that serves.
	upTimeout    = 10 * time.Minute
	closeTimeout = 3 * time.Minute
	execTimeout  = time.Minute
	// daemonTimeout is how long the Docker daemon may take to answer a ping.
	daemonTimeout = 3 * time.Second
)

// Options say what is brought up. The zero value is the usual.
type Options struct {
	// Env are variables of docker-compose.yml beside those of the regtest, such
	// as LNTPAY_WEBHOOKS_ALLOW_PRIVATE=true.
	Env map[string]string
	// Log is told what happens; the standard output when nil.
	Log func(format string, args ...any)
}

// Project is a deployment that runs.
type Project struct {
	// Name is the compose project's.
	Name string
	// APIURL is the proxy, UIURL the Temporal UI, each without a final slash.
	APIURL, UIURL string

	log    func(string, ...any)
	docker *client.Client
	root   string
	// dir holds the file of variables and copies of the nodes' credentials.
	dir       string
	compose   []string
	passwords map[string]string
	// cut holds the endpoints of what Disconnect took from its networks.
	cut cut
}

// Start runs a project for one test and ends it after. Without a Docker daemon
// the test fails, unless LNTPAY_COMPOSE=off says that there is none.
func Start(t testing.TB, options Options) *Project {
	t.Helper()
	skipWithoutDocker(t)
	options.Log = t.Logf
	p, err := Open(t.Context(), options)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the containers' logs:\n%s", p.Logs(context.Background()))
		}
		if t.Failed() && os.Getenv("LNTPAY_COMPOSE_KEEP") != "" {
			t.Logf("project %s goes on running: %s", p.Name, strings.Join(p.compose, " "))

			return
		}
		if err := p.Close(); err != nil {
			t.Errorf("compose: %v", err)
		}
	})

	return p
}

// skipWithoutDocker skips where somebody has said that there is no Docker, and
// says so.
func skipWithoutDocker(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("compose: needs Docker and minutes, which -short leaves out")
	}
	if os.Getenv("LNTPAY_COMPOSE") == "off" {
		if err := regtest.ReportNotProven("docker-compose.yml comes up (LNTPAY_COMPOSE=off)"); err != nil {
			t.Fatal(err)
		}
		t.Skip("compose: LNTPAY_COMPOSE=off")
	}
}

// Open builds the images, brings a project up and waits until it serves.
// Whoever opens it closes it.
func Open(ctx context.Context, options Options) (*Project, error) {
	if options.Log == nil {
		options.Log = func(format string, args ...any) { fmt.Printf("compose: "+format+"\n", args...) }
	}
	root, err := tools.RepositoryRoot("")
	if err != nil {
		return nil, err
	}
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return nil, err
	}
	p := &Project{root: root, docker: docker, log: options.Log}
	if err := p.open(ctx, options); err != nil {
		return nil, errors.Join(err, p.Close())
	}

	return p, nil
}

func (p *Project) open(ctx context.Context, options Options) error {
	if err := p.ping(ctx); err != nil {
		return err
	}
	command, err := command(ctx)
	if err != nil {
		return err
	}
	if err := removeLeftovers(ctx, p.docker); err != nil {
		return fmt.Errorf("remove what a killed test left: %w", err)
	}
	if p.dir, err = os.MkdirTemp("", "lntpay-compose-"); err != nil {
		return err
	}
	env := filepath.Join(p.dir, "env")
	if err := p.writeEnv(ctx, env, options); err != nil {
		return err
	}
	if p.Name, err = projectName(); err != nil {
		return err
	}
	p.compose = slices.Concat(command, []string{
		"--file", filepath.Join(p.root, "docker-compose.yml"), "--project-directory", p.root, "--project-name", p.Name, "--env-file", env,
	})
	began := time.Now()
	upCtx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	if _, err := p.Compose(upCtx, "up", "--detach"); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Logs(ctx))
	}
	if err := p.WaitServing(upCtx); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Logs(ctx))
	}
	p.log("%s serves after %s", p.Name, time.Since(began).Round(100*time.Millisecond))

	return nil
}

func (p *Project) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	if _, err := p.docker.Ping(ctx, client.PingOptions{}); err != nil {
		return fmt.Errorf("no Docker daemon answers (LNTPAY_COMPOSE=off where there is none): %w", err)
	}

	return nil
}

// command is Compose v2, or v1.
func command(ctx context.Context) ([]string, error) {
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}, nil
	}
	if path, err := exec.LookPath("docker-compose"); err == nil {
		return []string{path}, nil
	}

	return nil, errors.New("neither docker compose nor docker-compose is installed")
}

// writeEnv builds the images and writes the variables of the project.
func (p *Project) writeEnv(ctx context.Context, path string, options Options) error {
	ctx, cancel := context.WithTimeout(ctx, imagesTimeout)
	defer cancel()
	began := time.Now()
	build := exec.CommandContext(ctx, "go", "run", "./deploy/images", "-pin", "-env", path)
	build.Dir = p.root
	out, err := build.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the images: %w\n%s", err, out)
	}
	p.log("images after %s", time.Since(began).Round(100*time.Millisecond))
	images, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	regtest, err := os.ReadFile(filepath.Join(p.root, "deploy", "compose", "regtest.env"))
	if err != nil {
		return err
	}
	port, err := freeport.Take(3)
	if err != nil {
		return err
	}
	p.APIURL, p.UIURL = fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port+2)
	text := bytes.NewBuffer(append(images, regtest...))
	fmt.Fprintf(text, "LNTPAY_HTTP=127.0.0.1:%d\nLNTPAY_HTTPS=127.0.0.1:%d\nTEMPORAL_UI_PORT=%d\n", port, port+1, port+2)
	p.passwords = map[string]string{}
	for _, name := range []string{"POSTGRES_PASSWORD", "LNTPAY_OWNER_PASSWORD", "LNTPAY_APP_PASSWORD", "TEMPORAL_PASSWORD"} {
		random := make([]byte, 16)
		_, _ = rand.Read(random)
		p.passwords[name] = hex.EncodeToString(random)
		fmt.Fprintf(text, "%s=%s\n", name, p.passwords[name])
	}
	for name, value := range options.Env {
		fmt.Fprintf(text, "%s=%s\n", name, value)
	}

	return os.WriteFile(path, text.Bytes(), 0o600)
}

// Compose runs a command of Compose on the project and gives its output. It is
// for up, restart and the like; the shell's own variables do not reach it.
func (p *Project) Compose(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.compose[0], append(p.compose[1:len(p.compose):len(p.compose)], args...)...)
	cmd.Dir = p.root
	for _, name := range []string{"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"} {
		if value, set := os.LookupEnv(name); set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("compose %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}

	return out, nil
}

// LNTPay runs a command of lntpay in a container of a service.
func (p *Project) LNTPay(ctx context.Context, service string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()

	return p.Compose(ctx, append([]string{"exec", "-T", service, "/lntpay"}, args...)...)
}

// NewKey makes a workspace and a key with scopes, as an operator does.
func (p *Project) NewKey(ctx context.Context, scopes ...string) (workspaceID, secret string, err error) {
	var workspace struct{ ID string }
	var key struct{ Secret string }
	out, err := p.LNTPay(ctx, "api-1", "workspace", "create", "test", "--json")
	if err == nil {
		err = json.Unmarshal(out, &workspace)
	}
	if err != nil {
		return "", "", fmt.Errorf("make a workspace: %w", err)
	}
	out, err = p.LNTPay(ctx, "api-1", "key", "create", "--workspace", workspace.ID,
		"--scopes", strings.Join(scopes, ","), "--json")
	if err == nil {
		err = json.Unmarshal(out, &key)
	}
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}

	return workspace.ID, key.Secret, nil
}

// WaitServing waits until the proxy has an api that answers.
func (p *Project) WaitServing(ctx context.Context) error {
	return until(ctx, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.APIURL+"/v1/balance", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		// We have no key yet, and are told so.
		if response.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("%s answers %s", p.APIURL, response.Status)
		}

		return nil
	})
}

// logLines is how much of each container's log Logs gives.
const logLines = "80"

// Logs are the ends of the logs of some services, or of all, and which of them
// run.
func (p *Project) Logs(ctx context.Context, services ...string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), execTimeout)
	defer cancel()
	state, _ := p.Compose(ctx, "ps", "--all")
	logs, err := p.Compose(ctx, append([]string{"logs", "--no-color", "--tail", logLines}, services...)...)
	if err != nil {
		return err.Error()
	}

	return string(state) + string(logs)
}

// Close removes containers, networks, volumes and files.
func (p *Project) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var failed []error
	if p.Name != "" {
		failed = append(failed, removeProject(ctx, p.docker, p.Name))
	}
	if p.dir != "" {
		failed = append(failed, os.RemoveAll(p.dir))
	}

	return errors.Join(append(failed, p.docker.Close())...)
}

// pollEvery is how often until asks again, and askTimeout how long it waits for
// an answer.
const (
	pollEvery  = 100 * time.Millisecond
	askTimeout = 5 * time.Second
)

// until repeats a question until it is answered or ctx ends; it says what the
// last answer was.
func until(ctx context.Context, ask func(context.Context) error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, askTimeout)
		err := ask(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
