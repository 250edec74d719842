package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/store/storetest"
)

// runsMain has this test's own program be lntpay.
const runsMain = "TEST_RUNS_LNTPAY"

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// apiProcess is `lntpay api` in a process of its own. Its Temporal is away,
// which only its readiness cares for.
type apiProcess struct {
	cmd              *exec.Cmd
	public, operator string
	exited           chan error
}

func startAPIProcess(t *testing.T, drainMS int) *apiProcess {
	t.Helper()
	port, err := freeport.Take(2)
	require.NoError(t, err)
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets.key")
	require.NoError(t, os.WriteFile(secrets, []byte(strings.Repeat("ab", 32)), 0o600))
	public, operator := "127.0.0.1:"+strconv.Itoa(port), "127.0.0.1:"+strconv.Itoa(port+1)
	p := &apiProcess{public: "http://" + public, operator: "http://" + operator, exited: make(chan error, 1)}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], "api")
	p.cmd.Dir = dir
	p.cmd.Env = []string{
		runsMain + "=1", "LNTPAY_API_LISTEN=" + public, "LNTPAY_API_OPERATOR_LISTEN=" + operator,
		"LNTPAY_API_DRAIN_MS=" + strconv.Itoa(drainMS),
		"LNTPAY_SANDBOX_DATABASE_URL=" + storetest.New(t).Pool.Config().ConnString(),
		"LNTPAY_SANDBOX_SECRETS_KEY_FILE=" + secrets,
		"LNTPAY_SANDBOX_TEMPORAL_ADDRESS=127.0.0.1:1", "LNTPAY_SANDBOX_TEMPORAL_NAMESPACE=none",
	}
	p.cmd.Stderr = t.Output()
	require.NoError(t, p.cmd.Start())
	go func() { p.exited <- p.cmd.Wait() }()
	require.Eventually(t, func() bool {
		status, _, err := p.get(p.operator + "/healthz")

		return err == nil && status == http.StatusOK
	}, 30*time.Second, 20*time.Millisecond)

	return p
}

func (p *apiProcess) get(url string) (status int, body string, err error) {
	response, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)

	return response.StatusCode, string(text), err
}

// A signal has the process drain and end in good order.
func TestSignalDrains(t *testing.T) {
	t.Parallel()
	p := startAPIProcess(t, 200)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-p.exited)
}

// A process that drains goes on serving; a second signal ends it at once.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := startAPIProcess(t, 600_000)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Eventually(t, func() bool {
		status, body, err := p.get(p.operator + "/readyz")

		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(body, `"draining"`)
	}, 10*time.Second, 10*time.Millisecond)
	status, _, err := p.get(p.public + "/openapi.json")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	require.ErrorAs(t, <-p.exited, &exit)
	require.Equal(t, syscall.SIGTERM, exit.Sys().(syscall.WaitStatus).Signal())
}
