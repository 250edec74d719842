package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// headersOf asks an upstream that answers with the header it got.
func headersOf(r *running, path string, headers ...string) http.Header {
	r.t.Helper()
	answer := r.get(path, headers...)
	require.Equal(r.t, http.StatusOK, answer.status, answer.body)
	var header http.Header
	require.NoError(r.t, json.Unmarshal([]byte(answer.body), &header))

	return header
}

func showHeaders(w http.ResponseWriter, r *http.Request) {
	r.Header.Set("Host", r.Host)
	// What an upstream must not say in our name.
	w.Header().Set("Payment-Receipt", "forged")
	w.Header().Set("X-Request-Id", "forged")
	_ = json.NewEncoder(w).Encode(r.Header)
}

// forgeries are headers that a client could hope an upstream to believe.
var forgeries = []string{
	"Lntpay-Payment-Hash", "forged", "lntpay_charge_id", "forged", "Lntpay-Amount-Msat", "forged", "LNTPAY-Anything", "forged",
	"Forwarded", "for=forged", "X-Forwarded-For", "192.0.2.99", "X-Forwarded-Host", "forged", "X-Forwarded-Proto", "forged",
	"X_Forwarded_For", "forged", "X-Forwarded-Prefix", "forged", "X-Real-Ip", "forged", "X-Original-Url", "/forged",
	"X-Rewrite-Url", "/forged", "X-Http-Method-Override", "DELETE", "X-Secret", "forged", "x-secret", "forged",
	"Connection", "keep-alive, X-Hop, Lntpay-Charge-Id, X-Secret", "X-Hop", "forged", "Keep-Alive", "forged", "Proxy-Authorization", "forged",
	"Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "Http2-Settings", "forged",
	"Te", "trailers", "X-Mine", "mine",
}

func TestHeadersUpstream(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
services:
  - {name: shop, path: '/paid', upstream: "%[1]s", price_sats: 5, headers: {x-secret: ours}}
  - {name: lnd, upstream: "%[1]s", auth: off}
`, upstream(t, showHeaders)))
	token := r.buy(http.MethodGet, "/paid", 5000)
	got := headersOf(r, "/paid", append([]string{"Authorization", token, "Authorization", "Basic dTpw", "Macaroon", "ab"}, forgeries...)...)
	require.Regexp(t, "^[0-9a-f]{64}$", got.Get("Lntpay-Payment-Hash"))
	require.Regexp(t, "^ch_", got.Get("Lntpay-Charge-Id"))
	require.Equal(t, "5000", got.Get("Lntpay-Amount-Msat"))
	require.Equal(t, []string{"ours"}, got["X-Secret"])
	require.Equal(t, []string{"127.0.0.1"}, got["X-Forwarded-For"])
	require.Equal(t, strings.TrimPrefix(r.url, "http://"), got.Get("X-Forwarded-Host"))
	require.Equal(t, "http", got.Get("X-Forwarded-Proto"))
	require.Equal(t, []string{"Basic dTpw"}, got["Authorization"])
	require.Equal(t, "mine", got.Get("X-Mine"))
	require.Equal(t, "trailers", got.Get("Te"))
	require.NotContains(t, got, "Macaroon")
	require.NotContains(t, got, "Upgrade")
	require.NotEqual(t, got.Get("Host"), got.Get("X-Forwarded-Host"))

	free := headersOf(r, "/free", append([]string{"Authorization", token, "Macaroon", "ab"}, forgeries...)...)
	for name := range free {
		require.NotContains(t, strings.ToLower(strings.ReplaceAll(name, "_", "-")), "lntpay")
	}
	require.NotContains(t, free, "Authorization")
	require.Equal(t, "ab", free.Get("Macaroon"), "lnd's own, where nothing is sold")
	for _, header := range []http.Header{got, free} {
		delete(header, "X-Secret")
		text, err := json.Marshal(header)
		require.NoError(t, err)
		require.NotContains(t, string(text), "forged")
		require.NotContains(t, string(text), "DELETE")
		require.NotContains(t, string(text), "192.0.2.99")
	}
}

func TestHeadersOfATrustedProxyGoOn(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
trusted_proxies: ["127.0.0.1"]
services: [{name: lnd, upstream: "%s", auth: off}]
`, upstream(t, showHeaders)))
	got := headersOf(r, "/", append(forgeries, "X-Request-Id", "mine")...)
	require.Equal(t, "192.0.2.99, 127.0.0.1", got.Get("X-Forwarded-For"))
	require.Equal(t, "forged", got.Get("X-Forwarded-Host"))
	require.Equal(t, "forged", got.Get("X-Forwarded-Proto"))
	require.Equal(t, "mine", got.Get("X-Request-Id"))
	require.NotContains(t, got, "X_forwarded_for")
	require.NotContains(t, got, "X-Real-Ip")
	require.NotContains(t, got, "Lntpay-Anything")
}

// An upstream cannot speak in the gateway's name, nor does an informational
// answer wipe out what the gateway says.
func TestHeadersDownstream(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`services: [{name: shop, upstream: "%s", price_sats: 5}]`,
		upstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			showHeaders(w, r)
		})))
	answer := r.get("/", "Authorization", r.buy(http.MethodGet, "/", 5000), "X-Request-Id", "mine")
	require.Equal(t, []string{"mine"}, answer.header["X-Request-Id"])
	require.Len(t, answer.header["Payment-Receipt"], 1)
	require.NotContains(t, answer.header.Get("Payment-Receipt"), "forged")
}
