package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/tests/load"
)

// recoverWithin bounds the restart of a process, not what we promise.
const recoverWithin = 60 * time.Second

// stack is `lntpay dev` in a process of its own.
type stack struct {
	program  string
	dir      string
	portBase int
	process  *devnet.Process
	dev      *devnet.DevJSON
	// operators are the operator addresses of api and worker.
	operators []string
	// meter notes how each request of the clients ended.
	meter *load.Meter
	// environment is added to what the program sees of ours.
	environment []string
}

// startStack builds the program and runs a stack until the test ends.
func startStack(t *testing.T, environment ...string) *stack {
	t.Helper()
	// Not t.TempDir: Postgres runs as another user when we are root, and
	// must pass through every folder above its own.
	dir, err := os.MkdirTemp("", "lntpay-faults-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	portBase, err := freeport.Take(devnet.PortCount)
	require.NoError(t, err)
	s := &stack{program: filepath.Join(dir, "lntpay"), dir: dir, portBase: portBase, meter: load.NewMeter(t), environment: environment}
	t.Cleanup(func() {
		if s.process != nil {
			s.process.Stop()
		}
		if t.Failed() {
			t.Logf("the stack's logs are in %s", filepath.Join(dir, "state", "logs"))

			return
		}
		require.NoError(t, os.RemoveAll(dir))
	})
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", s.program, "github.com/lntpay/lntpay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.start(t)

	return s
}

// start runs the stack until it is ready.
func (s *stack) start(t *testing.T) {
	t.Helper()
	began := time.Now()
	state := filepath.Join(s.dir, "state")
	here, err := os.Getwd() // `lntpay dev` builds its tools from the repository.
	require.NoError(t, err)
	process, err := devnet.Start(t.Context(), devnet.Spec{
		Name: "lntpay dev", Path: s.program,
		Args: func() []string {
			return []string{"dev", "--state-dir", state, "--port-base", fmt.Sprint(s.portBase)}
		},
		Env: append(os.Environ(), s.environment...), Dir: here, Log: filepath.Join(s.dir, "dev.log"),
		Ready:       func(context.Context) error { return s.look() },
		ReadyWithin: 5 * time.Minute, StopWithin: time.Minute,
	})
	require.NoError(t, err)
	s.process = process
	env, err := s.dev.Environ()
	require.NoError(t, err)
	s.operators = []string{
		"http://" + env["LNTPAY_API_OPERATOR_LISTEN"], "http://" + env["LNTPAY_WORKER_OPERATOR_LISTEN"],
	}
	s.awaitReady(t)
	t.Logf("the stack was ready after %s", time.Since(began).Round(time.Millisecond))
}

// look reads dev.json again.
func (s *stack) look() error {
	dev, err := devnet.FindRunning(filepath.Join(s.dir, "state"))
	if err == nil {
		s.dev = dev
	}

	return err
}

// kill ends a process without warning and waits until another one serves.
func (s *stack) kill(t *testing.T, name string) load.Outage {
	t.Helper()

	return s.end(t, name, syscall.SIGKILL)
}

// end sends a process a signal that ends it, and waits until another one serves.
func (s *stack) end(t *testing.T, name string, signal syscall.Signal) load.Outage {
	t.Helper()
	pid := s.pid(t, name)
	from := time.Now()
	require.NoError(t, syscall.Kill(pid, signal))
	require.Eventually(t, func() bool { return s.look() == nil && s.dev.Processes[name] != pid },
		recoverWithin, load.Poll, "%s was not started again", name)
	again := time.Now()
	s.awaitReady(t)
	o := load.Outage{From: from, To: time.Now()}
	t.Logf("%s: %s, started again after %s, ready after %s", name, signal,
		again.Sub(from).Round(time.Millisecond), o.To.Sub(from).Round(time.Millisecond))

	return o
}

// pid is a running process'.
func (s *stack) pid(t *testing.T, name string) int {
	t.Helper()
	require.NoError(t, s.look())
	require.NotZero(t, s.dev.Processes[name], name)

	return s.dev.Processes[name]
}

// awaitReady waits until api and worker say that all they need is there.
func (s *stack) awaitReady(t *testing.T) {
	t.Helper()
	var missing []string
	require.Eventually(t, func() bool {
		missing = missing[:0]
		for _, url := range s.operators {
			if why := notReady(url + "/readyz"); why != "" {
				missing = append(missing, why)
			}
		}

		return len(missing) == 0
	}, recoverWithin, load.Poll, "the stack did not recover: %s", &load.Lazy{Texts: &missing})
}

// notReady is empty when the address answers 200.
func notReady(url string) string {
	client := http.Client{Timeout: 4 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	_ = response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return ""
	}

	return url + ": " + response.Status
}

// descendants are the processes below one, by Linux' /proc.
func descendants(t *testing.T, of int) []int {
	t.Helper()
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // It ended meanwhile.
		}
		var pid, parent int
		var state string
		// The name in brackets may hold spaces.
		_, _ = fmt.Sscan(string(text), &pid)
		_, _ = fmt.Sscan(string(text[bytes.LastIndexByte(text, ')')+1:]), &state, &parent)
		children[parent] = append(children[parent], pid)
	}
	var all []int
	for next := []int{of}; len(next) > 0; next = next[1:] {
		all = append(all, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}

	return all
}

// target is the stack as a load sees it.
func (s *stack) target() load.Target {
	return load.Target{
		APIURL: s.dev.APIURL, Key: s.dev.APIKeys.Sandbox, WorkspaceID: s.dev.WorkspaceID, DatabaseURL: s.dev.DatabaseURL,
		Merchant: s.dev.Lnd.Merchant.Connect, Payer: s.dev.Lnd.Payer.Connect, Transport: s.meter,
	}
}

// workspace is that of the stack under load.
type workspace struct{ *load.Workspace }

// newWorkspace has an endpoint for events of that type.
func newWorkspace(t *testing.T, s *stack, eventType string) *workspace {
	t.Helper()

	return &workspace{load.NewWorkspace(t, s.target(), eventType)}
}
