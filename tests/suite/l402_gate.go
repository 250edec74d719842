package suite

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// l402Key is that of the gates of these tests.
var l402Key = l402.NewKey([32]byte{4, 2})

// gated serves a handler that costs 21 sats a request.
func (c *Client) gated(t *testing.T, change func(*gate.Config)) string {
	t.Helper()
	config := gate.Config{
		Charges: c.sdk(t, nil).Charges, Key: l402Key, Service: "weather", Price: gate.Fixed(21 * lntpay.Sat),
		Metadata: func(r *http.Request) map[string]string {
			return map[string]string{"customer": r.URL.Query().Get("customer")}
		},
	}
	change(&config)
	paid, err := gate.New(config)
	require.NoError(t, err)
	server := httptest.NewServer(paid.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payment, _ := gate.PaymentFrom(r.Context())
		_, _ = fmt.Fprint(w, "for "+payment.ChargeID)
	})))
	t.Cleanup(server.Close)

	return server.URL
}

// fetch makes a request with Authorization headers.
func fetch(t *testing.T, method, url string, authorizations ...string) (status int, header http.Header, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for _, authorization := range authorizations {
		request.Header.Add("Authorization", authorization)
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	require.NoError(t, err)

	return answer.StatusCode, answer.Header, string(read)
}

// asked is what clients of two kinds read from a challenge: the parameter
// token of today's specification, and the macaroon of those before.
func asked(t *testing.T, header http.Header) (token, bolt11 string) {
	t.Helper()
	challenges := header.Values("WWW-Authenticate")
	require.Len(t, challenges, 2)
	today := regexp.MustCompile(`^L402 version="0", token="([^"]+)", macaroon="([^"]+)", invoice="([^"]+)"$`).FindStringSubmatch(challenges[0])
	require.NotNil(t, today, challenges[0])
	before := regexp.MustCompile(`^LSAT macaroon="([^"]+)", invoice="([^"]+)"$`).FindStringSubmatch(challenges[1])
	require.NotNil(t, before, challenges[1])
	require.Equal(t, []string{before[1], before[1], before[2]}, today[1:])

	return today[1], today[3]
}

// purchase pays for a request.
func (c *Client) purchase(t *testing.T, url string) (token string, preimage lightning.Preimage) {
	t.Helper()
	status, header, body := fetch(t, http.MethodGet, url)
	require.Equal(t, http.StatusPaymentRequired, status, body)
	token, bolt11 := asked(t, header)
	preimage, err := c.Net.Pay(t.Context(), bolt11, 0)
	require.NoError(t, err)

	return token, preimage
}

func credential(scheme, token string, preimage lightning.Preimage) string {
	return fmt.Sprintf("%s %s:%x", scheme, token, preimage[:])
}

// What is paid for is served and booked, to clients of all kinds.
func testL402(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url := c.gated(t, func(*gate.Config) {})
	status, header, body := fetch(t, http.MethodGet, url+"/forecast?customer=7", "Bearer "+c.Key)
	require.Equal(t, http.StatusPaymentRequired, status)
	token, bolt11 := asked(t, header)
	var problem Object
	require.NoError(t, json.Unmarshal([]byte(body), &problem))
	require.Equal(t, []any{"payment_required", token, bolt11, 21_000.0}, []any{problem["code"], problem["macaroon"], problem["invoice"], problem["amount_msat"]})
	id := Text(problem, "charge_id")
	macaroon, err := l402.ParseMacaroon(token)
	require.NoError(t, err)
	require.Equal(t, id, macaroon.ID.ChargeID())

	status, header, _ = fetch(t, http.MethodGet, url+"/forecast", credential("L402", token, lightning.Preimage{}))
	require.Equal(t, http.StatusUnauthorized, status, "not paid yet")
	require.Equal(t, []string{"L402"}, header.Values("WWW-Authenticate"))
	preimage, err := c.Net.Pay(t.Context(), bolt11, 0)
	require.NoError(t, err)
	for _, scheme := range []string{"L402", "LSAT", "l402"} {
		status, header, body = fetch(t, http.MethodGet, url+"/forecast", credential(scheme, token, preimage))
		require.Equal(t, http.StatusOK, status, scheme)
		require.Equal(t, "for "+id, body)
	}
	receipt, err := base64.RawURLEncoding.DecodeString(header.Get("Payment-Receipt"))
	require.NoError(t, err)
	require.Contains(t, string(receipt), hex.EncodeToString(macaroon.ID.PaymentHash[:]))
	require.NotContains(t, string(receipt), hex.EncodeToString(preimage[:]))

	charge, err := c.sdk(t, nil).Charges.Wait(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, lntpay.ChargePaid, charge.Status)
	require.Equal(t, "GET /forecast", charge.Description)
	require.Equal(t, map[string]string{"l402_service": "weather", "l402_resource": "GET /forecast", "customer": "7"}, charge.Metadata)
	require.InDelta(t, 600, charge.ExpiresAt.Sub(charge.CreatedAt).Seconds(), 2)
	c.RequireBooks(t, 21_000, 1)
}

// What was not paid for stays shut, whatever is made of a token that was.
func testL402Refuses(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	url := c.gated(t, func(*gate.Config) {})
	token, preimage := c.purchase(t, url+"/forecast")
	macaroon, err := l402.ParseMacaroon(token)
	require.NoError(t, err)
	forged, err := l402.NewKey([32]byte{9}).Mint(macaroon.ID.ChargeID(), hex.EncodeToString(macaroon.ID.PaymentHash[:]), macaroon.Caveats...)
	require.NoError(t, err)
	minted, err := l402Key.Mint(macaroon.ID.ChargeID(), hex.EncodeToString(macaroon.ID.PaymentHash[:]), l402.Services("weather"),
		l402.Resource("weather", "GET /forecast"), l402.ValidUntil("weather", time.Now()), l402.Amount("weather", 21_000))
	require.NoError(t, err)
	wrong := preimage
	wrong[0]++
	for name, test := range map[string]struct {
		path, authorization string
		status              int
		reason              string
	}{
		"forged":         {"/forecast", credential("L402", forged.String(), preimage), http.StatusUnauthorized, "bad_signature"},
		"wrong preimage": {"/forecast", credential("L402", token, wrong), http.StatusUnauthorized, "wrong_preimage"},
		"other resource": {"/admin", credential("L402", token, preimage), http.StatusPaymentRequired, "wrong_resource"},
		"expired":        {"/forecast", credential("L402", minted.String(), preimage), http.StatusPaymentRequired, "expired"},
		"widened": {
			"/admin", credential("L402", macaroon.Attenuate(l402.Resource("weather", "GET /admin")).String(), preimage),
			http.StatusPaymentRequired, "widened",
		},
	} {
		status, _, body := fetch(t, http.MethodGet, url+test.path, test.authorization)
		require.Equal(t, test.status, status, name)
		var problem Object
		require.NoError(t, json.Unmarshal([]byte(body), &problem))
		require.Equal(t, test.reason, problem["reason"], name)
	}
	status, _, _ := fetch(t, http.MethodGet, url+"/forecast", credential("L402", token, preimage))
	require.Equal(t, http.StatusOK, status)
	require.EqualValues(t, 21_000, c.settled(t, macaroon.ID.ChargeID()))
}

// settled waits for a charge and is what the workspace then has.
func (c *Client) settled(t *testing.T, chargeID string) int64 {
	t.Helper()
	charge, err := c.sdk(t, nil).Charges.Wait(t.Context(), chargeID)
	require.NoError(t, err)
	require.Equal(t, lntpay.ChargePaid, charge.Status)
	balance, err := c.sdk(t, nil).Ledger.Balance(t.Context())
	require.NoError(t, err)

	return balance.AvailableMsat
}

// The program of the quickstart sells a request for 21 sats, once.
func testL402Quickstart(t *testing.T, s *Stack) {
	c := s.NewClient(t)
	binary := filepath.Join(t.TempDir(), "l402-go")
	said, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../docs/quickstarts/l402-go").CombinedOutput()
	require.NoError(t, err, "%s", said)
	program := exec.CommandContext(t.Context(), binary)
	program.Stderr = os.Stderr
	program.Env = append(os.Environ(),
		"LNTPAY_API_KEY="+c.Key, "LNTPAY_BASE_URL="+c.APIURL, "LNTPAY_L402_KEY="+strings.Repeat("4a", 32), "PORT=0")
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url = strings.TrimSpace(url)

	token, preimage := c.purchase(t, url)
	macaroon, err := l402.ParseMacaroon(token)
	require.NoError(t, err)
	status, _, body := fetch(t, http.MethodGet, url, credential("L402", token, preimage))
	require.Equal(t, http.StatusOK, status, body)
	require.JSONEq(t, `{"temperature": 21, "paid_by": "`+macaroon.ID.ChargeID()+`"}`, body)
	status, _, body = fetch(t, http.MethodGet, url, credential("L402", token, preimage))
	require.Equal(t, http.StatusPaymentRequired, status)
	require.Contains(t, body, `"reason":"used"`)
	require.EqualValues(t, 21_000, c.settled(t, macaroon.ID.ChargeID()))
}
