package suite

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// gatewayProcess is a `lntpay gateway` that runs.
type gatewayProcess struct {
	url string
	log bytes.Buffer
	cmd *exec.Cmd
}

const gatewaySettings = `
listen: 127.0.0.1:%[1]d
operator_listen: 127.0.0.1:%[2]d
lntpay: {base_url: "%[3]s", api_key_file: api.key}
l402: {key_file: l402.key}
services:
  - {name: short, path: '/short/.*', upstream: "%[4]s", price_sats: 3, lifetime_s: 60}
  - {name: shop, upstream: "%[4]s", price_sats: 21, free: [/health], prices: [{method: POST, price_sats: 500}]}
`

// startGateway runs the binary in a folder that has the keys.
func (c *Client) startGateway(t *testing.T, binary, dir, upstream string) *gatewayProcess {
	t.Helper()
	port, err := freeport.Take(2)
	require.NoError(t, err)
	file := filepath.Join(dir, strconv.Itoa(port)+".yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, gatewaySettings, port, port+1, c.APIURL, upstream), 0o600))
	g := &gatewayProcess{url: fmt.Sprintf("http://127.0.0.1:%d", port), cmd: exec.Command(binary, "gateway", "--config", file)}
	g.cmd.Dir, g.cmd.Stderr = dir, &g.log
	require.NoError(t, g.cmd.Start())
	t.Cleanup(func() { _ = g.cmd.Process.Kill() })
	require.Eventually(t, func() bool {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port+1))
		if err != nil {
			return false
		}
		defer response.Body.Close()

		return response.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)

	return g
}

// stop ends it as a supervisor does, and returns its log.
func (g *gatewayProcess) stop(t *testing.T) string {
	t.Helper()
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, g.cmd.Wait())

	return g.log.String()
}

// Ask sends a request with a token, if there is one.
func (g *gatewayProcess) Ask(t *testing.T, method, path string, credential *l402.Credential) (int, http.Header, Object) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, g.url+path, nil)
	require.NoError(t, err)
	if credential != nil {
		request.Header.Set("Authorization", credential.String())
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var answer Object
	require.NoError(t, json.Unmarshal(body, &answer), "%s", body)

	return response.StatusCode, response.Header, answer
}

// buy pays for a request, from the payer's node.
func (g *gatewayProcess) buy(t *testing.T, c *Client, method, path string) *l402.Credential {
	t.Helper()
	status, header, answer := g.Ask(t, method, path, nil)
	require.Equal(t, http.StatusPaymentRequired, status, answer)
	challenge, err := l402.ParseChallenge(header)
	require.NoError(t, err)
	preimage, err := c.Net.Pay(t.Context(), challenge.Invoice, 0)
	require.NoError(t, err)

	return &l402.Credential{Macaroon: challenge.Macaroon, Preimage: l402.Preimage(preimage)}
}

// The gateway as it is deployed, before a service that knows nothing of money.
func testGateway(t *testing.T, s *Stack) {
	ctx, c := t.Context(), s.NewClient(t)
	sdk := c.sdk(t, nil)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(Object{"path": r.URL.Path, "charge": r.Header.Get("Lntpay-Charge-Id"), "amount": r.Header.Get("Lntpay-Amount-Msat")})
	}))
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	binary := filepath.Join(dir, "lntpay")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = "../.."
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	key, err := sdk.Keys.Create(ctx, lntpay.KeyParams{Name: "gateway", Scopes: []lntpay.Scope{lntpay.ScopeChargesWrite}})
	require.NoError(t, err)
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	for name, text := range map[string]string{"api.key": key.Secret, "l402.key": hex.EncodeToString(secret[:])} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600))
	}
	first, second := c.startGateway(t, binary, dir, upstream.URL), c.startGateway(t, binary, dir, upstream.URL)

	token := first.buy(t, c, http.MethodGet, "/report")
	chargeID := token.Macaroon.ID.ChargeID()
	charge, err := sdk.Charges.Wait(ctx, chargeID)
	require.NoError(t, err)
	require.Equal(t, lntpay.ChargePaid, charge.Status)
	require.EqualValues(t, 21_000, charge.AmountPaidMsat)
	require.Equal(t, map[string]string{"l402_service": "shop", "l402_resource": "GET /report"}, charge.Metadata)
	c.RequireBooks(t, 21_000, 1)
	c.requirePaidEvent(t, sdk, charge)

	for _, gateway := range []*gatewayProcess{first, second, first} {
		status, header, answer := gateway.Ask(t, http.MethodGet, "/report", token)
		require.Equal(t, http.StatusOK, status, answer)
		require.Equal(t, Object{"path": "/report", "charge": chargeID, "amount": "21000"}, answer)
		require.NotEmpty(t, header.Get("Payment-Receipt"))
	}
	status, _, answer := first.Ask(t, http.MethodGet, "/health", nil)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, answer["charge"])
	requireNotFooled(t, second, token, first.buy(t, c, http.MethodGet, "/short/a"))

	for _, gateway := range []*gatewayProcess{first, second} {
		log := gateway.stop(t)
		require.Contains(t, log, `"outcome":"admitted"`)
		require.NotContains(t, log, hex.EncodeToString(token.Preimage[:]))
		require.NotContains(t, log, token.Macaroon.String()[:40])
		require.NotContains(t, log, key.Secret)
	}
}

// requirePaidEvent finds the event of a charge among the workspace's.
func (c *Client) requirePaidEvent(t *testing.T, sdk *lntpay.Client, charge *lntpay.Charge) {
	t.Helper()
	for event, err := range sdk.Events.List(t.Context(), lntpay.EventFilter{}) {
		require.NoError(t, err)
		if event.Type == lntpay.EventChargePaid {
			told, err := event.Charge()
			require.NoError(t, err)
			require.Equal(t, charge, told)

			return
		}
	}
	require.Fail(t, "there is no charge.paid")
}

// requireNotFooled tries what must not pass; token is good for GET /report of
// shop, cheap for GET /short/a of short.
func requireNotFooled(t *testing.T, gateway *gatewayProcess, token, cheap *l402.Credential) {
	t.Helper()
	with := func(caveats ...l402.Caveat) *l402.Credential {
		return &l402.Credential{Macaroon: token.Macaroon.Attenuate(caveats...), Preimage: token.Preimage}
	}
	forged, err := l402.NewKey([32]byte{9}).Mint(token.Macaroon.ID.ChargeID(), hex.EncodeToString(token.Macaroon.ID.PaymentHash[:]),
		token.Macaroon.Caveats...)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		method, path string
		credential   *l402.Credential
		status       int
		reason       l402.Reason
	}{
		"forged":           {"GET", "/report", &l402.Credential{Macaroon: forged, Preimage: token.Preimage}, 401, l402.ErrBadSignature},
		"wrong preimage":   {"GET", "/report", &l402.Credential{Macaroon: token.Macaroon, Preimage: l402.Preimage{1}}, 401, l402.ErrWrongPreimage},
		"another's":        {"GET", "/report", &l402.Credential{Macaroon: token.Macaroon, Preimage: cheap.Preimage}, 401, l402.ErrWrongPreimage},
		"widened amount":   {"GET", "/report", with(l402.Amount("shop", 500_000)), 402, l402.ErrWidened},
		"widened end":      {"GET", "/report", with(l402.ValidUntil("shop", time.Now().Add(24*time.Hour))), 402, l402.ErrWidened},
		"widened resource": {"GET", "/other", with(l402.Resource("shop", "GET /other")), 402, l402.ErrWidened},
		"expired":          {"GET", "/report", with(l402.ValidUntil("shop", time.Now())), 402, l402.ErrExpired},
		"other resource":   {"GET", "/other", token, 402, l402.ErrWrongResource},
		"other method":     {"POST", "/report", token, 402, l402.ErrWrongResource},
		"other service":    {"GET", "/report", cheap, 402, l402.ErrWrongService},
	} {
		status, header, answer := gateway.Ask(t, test.method, test.path, test.credential)
		require.Equal(t, test.status, status, "%s: %v", name, answer)
		require.EqualValues(t, test.reason, answer["reason"], name)
		_, err := l402.ParseChallenge(header)
		require.Equal(t, test.status == http.StatusPaymentRequired, err == nil, name)
	}
}
