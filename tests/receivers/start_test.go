// Package receivers_test runs the example receivers of docs/webhooks.md and
// delivers events to them, signed and sent as in production. A program that an
// example needs and that is not installed is a failure: an example that is not
// run is not known to work.
package receivers_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	root = "../.."
	// patience is for what takes milliseconds on a machine that is not busy.
	patience = 30 * time.Second
)

// settings are what a receiver is told.
type settings struct {
	secrets []string
	// inbox is a folder for what it remembers.
	inbox string
	// api is the base URL for what it misses; nobody's when empty.
	api string
	// gapSeconds is how often it looks for a gap; too late for any test when
	// empty.
	gapSeconds string
}

// receiver is a running example.
type receiver struct {
	url string
	// handled waits until this process has handled n events, and lists those
	// that it has, as "sequence id", in its order.
	handled func(t *testing.T, n int) []string
	// recorded lists what its file or folder says. Nothing is missing of what
	// was handled before the last answer.
	recorded func(t *testing.T) []string
	// kill ends it without warning.
	kill func()
}

type starter func(t *testing.T, s settings) receiver

// examples are all receivers.
func examples() map[string]starter {
	services := services()
	services["shell"] = startShell

	return services
}

// services are those that listen by themselves and fetch what they miss.
func services() map[string]starter {
	return map[string]starter{
		"go": func(t *testing.T, s settings) receiver { return start(t, s, buildGo(t)) },
		"node": func(t *testing.T, s settings) receiver {
			return start(t, s, need(t, "node"), example("node/receiver.js"))
		},
		"python": func(t *testing.T, s settings) receiver {
			return start(t, s, need(t, "python3"), example("python/receiver.py"))
		},
	}
}

// forEach runs a test with each example.
func forEach(t *testing.T, of map[string]starter, test func(t *testing.T, start starter)) {
	t.Helper()
	for name, start := range of {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

func example(name string) string { return filepath.Join(root, "docs/receivers", name) }

// need finds a program.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	require.NoError(t, err, "the receivers in docs/receivers are run with %s, which is not installed (Debian: apt-get install nodejs python3 openssl)",
		program)

	return path
}

// built is where the receiver in Go is, once a test needed it.
var built struct {
	sync.Mutex
	folder string
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(built.folder)
	os.Exit(code)
}

func buildGo(t *testing.T) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.folder == "" {
		folder, err := os.MkdirTemp("", "lntpay-receiver-")
		require.NoError(t, err)
		output, err := exec.CommandContext(t.Context(), need(t, "go"), "build", "-o", folder+"/receiver", example("go/main.go")).CombinedOutput()
		require.NoError(t, err, "%s", output)
		built.folder = folder
	}

	return built.folder + "/receiver"
}

// start runs a receiver that listens by itself until the test ends.
func start(t *testing.T, s settings, program string, args ...string) receiver {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	file := filepath.Join(s.inbox, "events.jsonl")
	cmd.Env = append(os.Environ(), "PORT=0", "EVENTS_FILE="+file,
		"LNTPAY_WEBHOOK_SECRET="+strings.Join(s.secrets, " "), "LNTPAY_API_KEY="+apiKey,
		"LNTPAY_BASE_URL="+orElse(s.api, "http://127.0.0.1:1"), "GAP_SECONDS="+orElse(s.gapSeconds, "3600"))
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	lines := make(chan string, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(lines)
		for text := bufio.NewScanner(stdout); text.Scan(); {
			lines <- text.Text()
		}
		_ = cmd.Wait()
	}()
	kill := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", program, &stderr)
		}
	})
	url, ok := strings.CutPrefix(line(t, lines), "listening on ")
	require.True(t, ok, "a receiver says first where it listens")

	var said []string
	handled := func(t *testing.T, n int) []string {
		t.Helper()
		for len(said) < n || len(lines) > 0 {
			entry, ok := strings.CutPrefix(line(t, lines), "handled ")
			require.True(t, ok)
			said = append(said, strings.TrimSuffix(entry, " charge.paid"))
		}

		return slices.Clone(said)
	}
	recorded := func(t *testing.T) []string { return recordedIn(t, file) }

	return receiver{url: url, kill: kill, handled: handled, recorded: recorded}
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}

	return value
}

func line(t *testing.T, lines chan string) string {
	t.Helper()
	select {
	case text, ok := <-lines:
		require.True(t, ok, "the receiver has ended")

		return text
	case <-time.After(patience):
		require.Fail(t, "the receiver has nothing to say")

		return ""
	}
}

// recordedIn lists the events in a receiver's file.
func recordedIn(t *testing.T, file string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for line := range bytes.Lines(text) {
		var e struct {
			ID       string
			Sequence int64
		}
		require.NoError(t, json.Unmarshal(line, &e))
		list = append(list, event{id: e.ID, sequence: e.Sequence}.entry())
	}

	return list
}

// startShell serves what the script needs around it: the headers and the raw
// body of each request in a file, and its exit status as the answer.
func startShell(t *testing.T, s settings) receiver {
	t.Helper()
	need(t, "openssl")
	script, err := filepath.Abs(example("shell/verify.sh"))
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(verify(t, script, s, r))
	}))
	t.Cleanup(server.Close)
	kept := func(t *testing.T) []string {
		t.Helper()
		kept, err := filepath.Glob(filepath.Join(s.inbox, "*.json"))
		require.NoError(t, err)
		for i, path := range kept {
			parts := strings.Split(filepath.Base(path), ".")
			kept[i] = strings.TrimLeft(parts[0], "0") + " " + parts[1]
		}

		return kept
	}

	handled := func(t *testing.T, _ int) []string { return kept(t) }

	return receiver{url: server.URL, handled: handled, recorded: kept, kill: func() {}}
}

func verify(t *testing.T, script string, s settings, r *http.Request) int {
	folder, err := os.MkdirTemp(s.inbox, "request-")
	if err != nil {
		return http.StatusInternalServerError
	}
	var header bytes.Buffer
	body, err := io.ReadAll(r.Body)
	err = errors.Join(err, r.Header.Write(&header),
		os.WriteFile(folder+"/headers", header.Bytes(), 0o600), os.WriteFile(folder+"/body", body, 0o600))
	if err != nil {
		return http.StatusInternalServerError
	}
	cmd := exec.CommandContext(r.Context(), script, folder+"/headers", folder+"/body", s.inbox)
	cmd.Env = append(os.Environ(), "LNTPAY_WEBHOOK_SECRET="+strings.Join(s.secrets, " "))
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return http.StatusNoContent
	case errors.As(err, &exit) && exit.ExitCode() == 1 && strings.HasPrefix(string(output), "refused: "):
		return http.StatusBadRequest
	default:
		t.Logf("%s: %v\n%s", script, err, output)

		return http.StatusInternalServerError
	}
}

// entry is what handled lists of an event.
func (e event) entry() string { return fmt.Sprint(e.sequence, " ", e.id) }
