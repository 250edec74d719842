package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

func TestPricesByMethodAndPath(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
services:
  - name: shop
    upstream: "%s"
    prices:
      - {method: POST, path: '/big/.*', price_sats: 100}
      - {path: '/big/.*', price_msat: 1500}
      - {method: GET, path: '/small', price_sats: 1}
    free: [/health]
`, upstream(t, echo("up"))))
	for request, msat := range map[string]int64{
		"POST /big/a": 100_000, "GET /big/a": 1500, "DELETE /big/a": 1500, "GET /small": 1000,
	} {
		method, path, _ := strings.Cut(request, " ")
		token := r.buy(method, path, msat)
		paid := r.do(method, path, nil, "Authorization", token)
		require.Equal(t, http.StatusOK, paid.status, paid.body)
		require.Contains(t, paid.body, "up "+request)
		require.NotEmpty(t, paid.header.Get("Payment-Receipt"))
	}
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, "/health", nil).status)
	require.Equal(t, http.StatusPaymentRequired, r.do(http.MethodHead, "/small", nil).status)
	for _, unsold := range []string{"/", "/smaller", "/big", "/health/"} {
		require.Equal(t, http.StatusNotFound, r.get(unsold).status, unsold)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPut, "/small", nil).status)
	r.requireOutcomes("shop", map[string]int{"admitted": 4, "challenged": 5, "free": 1, "refused": 5})
}

func TestWhatATokenOpens(t *testing.T) {
	t.Parallel()
	target := upstream(t, echo("up"))
	r := start(t, fmt.Sprintf(`
services:
  - {name: one, host: one, upstream: "%[1]s", price_sats: 5}
  - {name: all, host: all, upstream: "%[1]s", price_sats: 5, resource: service, prices: [{path: /dear, price_sats: 9}]}
`, target))
	opens := func(want int, host, method, path, token string) {
		t.Helper()
		require.Equal(t, want, r.do(method, path, nil, "Host", host, "Authorization", token).status)
	}
	token := r.buy(http.MethodGet, "/a?x=1", 5000, "Host", "one")
	opens(200, "one", "GET", "/a?x=2", token)
	opens(200, "one", "GET", "/%61", token)
	opens(402, "one", "GET", "/b", token)
	opens(402, "one", "POST", "/a", token)
	opens(402, "all", "GET", "/a", token)
	token = r.buy(http.MethodGet, "/a", 5000, "Host", "all")
	opens(200, "all", "POST", "/b", token)
	opens(402, "all", "GET", "/dear", token)
	opens(402, "one", "GET", "/a", token)
	opens(200, "all", "GET", "/a", r.buy(http.MethodGet, "/dear", 9000, "Host", "all"))

	// Another gateway with the same key and services knows the token; one with
	// another key does not, and sells none to a forger.
	again := start(t, fmt.Sprintf(`services: [{name: all, upstream: "%s", price_sats: 5, resource: service}]`, target))
	require.Equal(t, 200, again.get("/x", "Authorization", token).status)
	forged := again.get("/x", "Authorization", token[:len(token)-4]+"0000")
	require.Equal(t, http.StatusUnauthorized, forged.status)
	require.Equal(t, "invalid_token", forged.problem(t)["code"])
	require.Empty(t, again.wallet.made())
}

func TestWhereNoInvoicesAreMade(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
services: [{name: shop, upstream: "%s", price_sats: 5, resource: service, no_challenge: ['/stream/.*'], freebies: 1}]
`, upstream(t, echo("up"))))
	require.Equal(t, http.StatusOK, r.get("/stream/a").status, "a freebie")
	for _, headers := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "L402 x:y"}} {
		refused := r.get("/stream/a", headers...)
		require.Equal(t, http.StatusUnauthorized, refused.status)
		require.Equal(t, "invalid_token", refused.problem(t)["code"])
		require.Equal(t, "L402", refused.header.Get("WWW-Authenticate"))
	}
	require.Empty(t, r.wallet.made())
	paid := r.get("/stream/a", "Authorization", r.buy(http.MethodGet, "/buy", 5000))
	require.Equal(t, http.StatusOK, paid.status)
	require.NotEmpty(t, paid.header.Get("Payment-Receipt"))
	require.Equal(t, http.StatusNotFound, start(t, "services: [{name: a, path: /a, upstream: 'http://u', price_sats: 1}]").get("/b").status)
}

// 401 says that a token is worthless, and its holder throws it away.
func TestATokenThatCannotBeJudgedIsNotRefused(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
limits: {uses: 1}
services: [{name: shop, upstream: "%s", price_sats: 5, once: true, resource: service, no_challenge: [/stream]}]
`, upstream(t, echo("up"))))
	first, second := r.buy(http.MethodGet, "/", 5000), r.buy(http.MethodGet, "/", 5000)
	require.Equal(t, http.StatusOK, r.get("/stream", "Authorization", first).status)
	require.Equal(t, http.StatusUnauthorized, r.get("/stream", "Authorization", first).status)
	for _, path := range []string{"/", "/stream"} {
		full := r.get(path, "Authorization", second)
		require.Equal(t, http.StatusServiceUnavailable, full.status, path)
		require.Equal(t, "service_unavailable", full.problem(t)["code"])
		require.NotEmpty(t, full.header.Get("Retry-After"))
	}
}

func TestFreebiesAreByClient(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]
limits: {freebie_clients: 4}
services: [{name: shop, upstream: "%s", price_sats: 5, freebies: 2}]
`, upstream(t, echo("up"))))
	ask := func(want int, forwarded ...string) {
		t.Helper()
		var headers []string
		for _, value := range forwarded {
			headers = append(headers, "X-Forwarded-For", value)
		}
		require.Equal(t, want, r.get("/", headers...).status, forwarded)
	}
	ask(200, "192.0.2.1")
	ask(200, "198.51.100.7, 192.0.2.1") // What the client says of itself is nothing.
	ask(402, "192.0.2.1, 10.1.1.1")     // A trusted proxy on the way.
	ask(402, "203.0.113.1", "192.0.2.1")
	ask(200, "192.0.2.2")
	ask(200, "2001:db8::1")
	ask(200, "2001:db8::ffff:1")
	ask(402, "2001:db8::2") // One line, one client.
	ask(200)
	ask(200, "nonsense") // Ends at the proxy.
	ask(402)
	ask(402, "192.0.2.3") // The fifth client.

	token := r.buy(http.MethodGet, "/", 5000, "X-Forwarded-For", "192.0.2.3")
	require.Equal(t, 200, r.get("/", "X-Forwarded-For", "192.0.2.2", "Authorization", token).status)
	ask(200, "192.0.2.2") // The token did not use the freebie up.
	ask(402, "192.0.2.2")
}

func TestAnUntrustedPeerIsTheClient(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5, freebies: 1}]`, upstream(t, echo("up"))))
	require.Equal(t, 200, r.get("/", "X-Forwarded-For", "192.0.2.1").status)
	require.Equal(t, 402, r.get("/", "X-Forwarded-For", "192.0.2.2").status)
}

func TestChargesAreMadeAsTheServiceSays(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
services: [{name: shop, upstream: "%s", price_sats: 5, lifetime_s: 7200, capabilities: [read, write], description: A picture}]
`, upstream(t, echo("up"))))
	asked := r.get("/a")
	require.Equal(t, 402, asked.status)
	charge := r.wallet.made()[0]
	require.Equal(t, "A picture", charge.Description)
	require.Equal(t, map[string]string{"l402_service": "shop", "l402_resource": "GET /a"}, charge.Metadata)
	challenge, err := l402.ParseChallenge(asked.header)
	require.NoError(t, err)
	caveats := map[string]string{}
	for _, caveat := range challenge.Macaroon.Caveats {
		caveats[caveat.Condition] = caveat.Value
	}
	var until int64
	_, err = fmt.Sscan(caveats["shop_valid_until"], &until)
	require.NoError(t, err)
	require.InDelta(t, time.Now().Add(2*time.Hour).Unix(), until, 30)
	require.Equal(t, "read,write", caveats["shop_capabilities"])
	require.Equal(t, "shop:0", caveats["services"])
}

// Tokens are accepted while LNTPay is away; only new ones cannot be had.
func TestLNTPayIsAway(t *testing.T) {
	t.Parallel()
	w := &wallet{preimages: map[[32]byte]l402.Preimage{}}
	settings := fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5}]`, upstream(t, echo("up")))
	token := startWith(t, settings, w).buy(http.MethodGet, "/", 5000)
	r := startWith(t, settings, &wallet{away: true})
	require.Equal(t, 200, r.get("/", "Authorization", token).status)
	refused := r.get("/")
	require.Equal(t, http.StatusServiceUnavailable, refused.status)
	require.NotEmpty(t, refused.header.Get("Retry-After"))
	require.Equal(t, "service_unavailable", refused.problem(t)["code"])
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200} {
		operator := running{t: t, url: r.operator}
		require.Equal(t, want, operator.get(path).status, path)
	}
	operator := running{t: t, url: startWith(t, settings, w).operator}
	require.JSONEq(t, `{"status":"ok","checks":{"lntpay":"ok"}}`, operator.get("/readyz").body)
}

func TestLogsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5}]`, upstream(t, echo("up"))))
	token := r.buy(http.MethodGet, "/a?secret=q", 5000)
	require.Equal(t, 200, r.get("/a?secret=q", "Authorization", token, "X-Request-Id", "mine-1").status)
	require.Equal(t, 401, r.get("/a?secret=q", "Authorization", token[:60]+":00", "X-Request-Id", "a\tb").status)
	r.requireOutcomes("shop", map[string]int{"admitted": 1, "challenged": 1, "refused": 1})
	r.stop()
	require.NoError(t, <-r.ended)
	r.ended <- nil
	log := r.log.String()
	require.Contains(t, log, `"request_id":"mine-1"`)
	require.Contains(t, log, `"charge_id":"ch_`)
	require.Contains(t, log, `"outcome":"challenged"`)
	preimage := token[strings.Index(token, ":")+1:]
	require.NotContains(t, log, preimage)
	require.NotContains(t, log, token[5:45])
	require.NotContains(t, log, "secret=q")
}
