// Package quickstarts_test runs the applications of docs/quickstarts as
// processes against a real stack, and pays them.
package quickstarts_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/tests/stack"
)

const (
	quickstarts = "../../docs/quickstarts"
	// patience is for what takes milliseconds on a machine that is not busy.
	patience = 30 * time.Second
)

var shared struct {
	once  sync.Once
	stack *stack.Stack
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stack != nil {
		shared.stack.Close()
	}
	os.Exit(code)
}

// merchant is a workspace of its own on the shared stack.
type merchant struct {
	*stack.Stack

	key    string
	client *lntpay.Client
}

func newMerchant(t *testing.T) *merchant {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Postgres, Temporal and a Lightning network, which -short leaves out")
	}
	shared.once.Do(func() { shared.stack, shared.err = stack.Open(context.Background()) })
	require.NoError(t, shared.err)
	m := &merchant{Stack: shared.stack}
	var err error
	_, m.key, err = m.NewKey(t.Context())
	require.NoError(t, err)
	m.client, err = lntpay.New(lntpay.Options{APIKey: m.key, BaseURL: m.APIURL})
	require.NoError(t, err)

	return m
}

func (m *merchant) pay(t *testing.T, bolt11 string) {
	t.Helper()
	_, err := m.Net.Pay(t.Context(), bolt11, 0)
	require.NoError(t, err)
}

// app is a running application.
type app struct {
	lines chan string
	input io.WriteCloser
	kill  func()
}

// run starts an application with the merchant's key and more of an
// environment.
func (m *merchant) run(t *testing.T, command []string, env ...string) *app {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), append(env, "LNTPAY_API_KEY="+m.key, "LNTPAY_BASE_URL="+m.APIURL)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	a := &app{lines: make(chan string, 1000)}
	a.input, err = cmd.StdinPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(a.lines)
		for text := bufio.NewScanner(stdout); text.Scan(); {
			a.lines <- text.Text()
		}
		_ = cmd.Wait()
	}()
	a.kill = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", command, &stderr)
		}
	})

	return a
}

// says waits for the next line, which must begin so, and gives the rest.
func (a *app) says(t *testing.T, beginning string) string {
	t.Helper()
	select {
	case line, ok := <-a.lines:
		require.True(t, ok, "the application has ended")
		rest, ok := strings.CutPrefix(line, beginning)
		require.True(t, ok, "%q where %q… was expected", line, beginning)

		return rest
	case <-time.After(patience):
		require.Fail(t, "the application has nothing to say")

		return ""
	}
}

// node runs an application in JavaScript.
func node(t *testing.T, file string) []string {
	t.Helper()
	program, err := exec.LookPath("node")
	require.NoError(t, err, "the quickstarts are run with node 18 or newer, which is not installed (Debian: apt-get install nodejs)")
	// So that Go, which keeps results of tests, learns of a change to them.
	for _, read := range []string{filepath.Join(quickstarts, file), "../../sdk/js/index.js"} {
		_, err := os.ReadFile(read)
		require.NoError(t, err)
	}

	return []string{program, filepath.Join(quickstarts, file)}
}

// built is an application in Go.
func built(t *testing.T, folder string) []string {
	t.Helper()
	for _, pattern := range []string{filepath.Join(quickstarts, folder, "*.go"), "../../sdk/go/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			_, err := os.ReadFile(file)
			require.NoError(t, err)
		}
	}
	program := filepath.Join(t.TempDir(), "app")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./"+filepath.Join(quickstarts, folder)).CombinedOutput()
	require.NoError(t, err, "%s", output)

	return []string{program}
}
