package suite

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

// quickstarts are the programs of the documentation.
const quickstarts = "../../docs/quickstarts"

// startQuickstart runs a program of the JavaScript documentation and returns the address that it prints. It ends with the test.
func (c *Client) startQuickstart(t *testing.T, file string, env ...string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	require.NoError(t, err, "the quickstarts need node 18 or newer, which is not installed (Debian: apt-get install nodejs)")
	// Read, so that Go, which keeps results of tests, learns of a change.
	_, err = os.ReadFile(filepath.Join(quickstarts, file))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, node, filepath.Join(quickstarts, file))
	cmd.Env = append(os.Environ(), append(env, "PORT=0", "LNTPAY_BASE_URL="+c.APIURL, "LNTPAY_API_KEY="+c.Key)...)
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // Killed.
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	address := regexp.MustCompile(`http://\S+`).FindString(line)
	require.NotEmpty(t, address, line)

	return address
}

// What the JavaScript gate sells is bought with the Go SDK's tokens, and a
// token that Go has minted under the gate's key opens it too.
func testQuickstartL402JavaScript(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	var secret [32]byte
	_, err := rand.Read(secret[:])
	require.NoError(t, err)
	address := c.startQuickstart(t, "l402-js/server.js", "LNTPAY_L402_KEY="+hex.EncodeToString(secret[:]))

	unpaid := c.buy(t, address, "")
	require.Equal(t, http.StatusPaymentRequired, unpaid.StatusCode)
	challenge, err := l402.ParseChallenge(unpaid.Header)
	require.NoError(t, err)
	preimage, err := c.Net.Pay(t.Context(), challenge.Invoice, 0)
	require.NoError(t, err)
	credential := &l402.Credential{Macaroon: challenge.Macaroon, Preimage: l402.Preimage(preimage)}
	require.Equal(t, http.StatusOK, c.buy(t, address, credential.String()).StatusCode)

	// Go mints, byte for byte, the same from the same caveats.
	id := challenge.Macaroon.ID
	minted, err := l402.NewKey(secret).Mint(id.ChargeID(), hex.EncodeToString(id.PaymentHash[:]), challenge.Macaroon.Caveats...)
	require.NoError(t, err)
	require.Equal(t, challenge.Macaroon.String(), minted.String())
	credential.Macaroon, err = l402.NewKey(secret).Mint(id.ChargeID(), hex.EncodeToString(id.PaymentHash[:]),
		l402.Services("lntpay"), l402.Resource("lntpay", "GET /forecast"), l402.Amount("lntpay", 21_000))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, c.buy(t, address, credential.String()).StatusCode, "a token of Go's")
	credential.Preimage[0]++
	require.Equal(t, http.StatusUnauthorized, c.buy(t, address, credential.String()).StatusCode)
	c.Agrees(t)
}

// buy asks an application for something, with a token or without. Its body has
// been read.
func (c *Client) buy(t *testing.T, address, authorization string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&map[string]any{}))

	return response
}
