package suite

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// runNode runs one of the JavaScript SDK's test files as a client's
// application, with an API that may be behind something.
func (c *Client) runNode(t *testing.T, file, apiURL string) {
	t.Helper()
	node, err := exec.LookPath("node")
	require.NoError(t, err, "the JavaScript SDK is tested with node 18 or newer, which is not installed (Debian: apt-get install nodejs)")
	// So that Go, which keeps results of tests, learns of a change to them.
	for _, read := range []string{"index.js", "gate.js", "l402.js", "test/server.js", "test/stack.js", "test/" + file} {
		_, err := os.ReadFile(filepath.Join("../../sdk/js", read))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// Not by --test, whose child would outlive it when it is killed.
	cmd := exec.CommandContext(ctx, node, filepath.Join("../../sdk/js/test", file))
	cmd.Env = append(os.Environ(), "LNTPAY_BASE_URL="+apiURL, "LNTPAY_API_KEY="+c.Key, "LNTPAY_TEST_URL="+c.serveOutside(t),
		fmt.Sprintf("LNTPAY_TEST_KEY_LINGERS_MS=%d", c.KeysLinger.Milliseconds()))
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Regexp(t, `(?m)^. pass [1-9]`, string(output), "there are tests in %s", file)
	require.Regexp(t, `(?m)^. skipped 0$`, string(output))
}

// outside is what a test asks the rest of the world for, and the answer.
type outside struct {
	Bolt11     string        `json:"bolt11"`
	AmountMsat payments.Msat `json:"amount_msat"`
	// Preimage is what paying the invoice has revealed.
	Preimage string `json:"preimage"`
	// URL is where something listens on loopback, and where the worker reaches it.
	URL string `json:"url"`
}

// serveOutside serves what a test needs from the rest of the world: somebody
// who pays, who has an invoice, and a way to a port for the worker.
func (c *Client) serveOutside(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	serve := func(path string, do func(ctx context.Context, asked *outside) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var asked outside
			err := json.NewDecoder(r.Body).Decode(&asked)
			if err == nil {
				err = do(r.Context(), &asked)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)

				return
			}
			_ = json.NewEncoder(w).Encode(asked)
		})
	}
	serve("/pay", func(ctx context.Context, asked *outside) error {
		preimage, err := c.Net.Pay(ctx, asked.Bolt11, 0)
		asked.Preimage = hex.EncodeToString(preimage[:])

		return err
	})
	serve("/invoice", func(ctx context.Context, asked *outside) (err error) {
		asked.Bolt11, err = c.Net.AddInvoice(ctx, asked.AmountMsat, time.Hour)

		return err
	})
	serve("/relay", func(_ context.Context, asked *outside) error {
		asked.URL = c.reach(t, asked.URL)

		return nil
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	return server.URL
}

func testJavaScriptSDK(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	c.runNode(t, "stack.test.js", c.APIURL)
	c.Agrees(t)
}

func testJavaScriptSDKOnALossyNetwork(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	network := newLossy(t, c.APIURL)
	c.runNode(t, "lossy.test.js", network.url)
	t.Logf("%d requests, lost before the server %d, after it %d, of those writes %d", network.requests.Load(), network.before.Load(),
		network.after.Load(), network.writes.Load())
	require.Greater(t, network.before.Load(), int64(10))
	require.Greater(t, network.after.Load(), int64(10))
	require.Positive(t, network.writes.Load(), "the dangerous ones")

	// As many as the test has made, each told apart by its external id or its
	// invoice.
	var charges, withdrawals int
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM charge WHERE workspace_id = $1),
		(SELECT count(*) FROM withdrawal WHERE workspace_id = $1)`, c.WorkspaceID).Scan(&charges, &withdrawals))
	require.Equal(t, 30, charges)
	require.Equal(t, 10, withdrawals)
	c.RequireBalance(t, 10*(100_000-20_000), 0)
	c.Agrees(t)
}

// lossy is a network that fails on every third request, by turns before the
// server has it and after it has answered.
type lossy struct {
	url   string
	proxy *httputil.ReverseProxy

	requests, before, after, writes atomic.Int64
}

// streamFor is after what time a stream breaks that must.
const streamFor = 300 * time.Millisecond

func newLossy(t *testing.T, apiURL string) *lossy {
	t.Helper()
	target, err := url.Parse(apiURL)
	require.NoError(t, err)
	n := &lossy{proxy: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1, // Events are passed on at once.
	}}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // First: a stream may be open.
	n.url = server.URL

	return n
}

func (n *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch n.requests.Add(1) % 6 {
	case 3:
		n.before.Add(1)
	case 0:
		n.after.Add(1)
		if r.Method == http.MethodPost {
			n.writes.Add(1)
		}
		if strings.HasSuffix(r.URL.Path, "/stream") {
			ctx, cancel := context.WithTimeout(r.Context(), streamFor)
			defer cancel()
			n.proxy.ServeHTTP(w, r.WithContext(ctx))
		} else {
			n.proxy.ServeHTTP(httptest.NewRecorder(), r)
		}
	default:
		n.proxy.ServeHTTP(w, r)

		return
	}
	// Breaks the connection.
	panic(http.ErrAbortHandler)
}
