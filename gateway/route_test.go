package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// echo answers with what arrived.
func echo(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s host=%s", name, r.Method, r.RequestURI, r.Host)
	}
}

func TestTheFirstServiceThatMatchesHasTheRequest(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
services:
  - {name: api, host: 'api\.test', path: '/v1/.*', upstream: "%[1]s/base/", auth: off}
  - {name: rest, host: '.*\.test', upstream: "%[2]s", auth: off, preserve_host: true}
`, upstream(t, echo("api")), upstream(t, echo("rest"))))
	require.Contains(t, r.get("/v1/a?q=1;2&%zz", "Host", "API.test.:8085").body, "api GET /base/v1/a?q=1;2&%zz host=127.0.0.1")
	require.Equal(t, "rest GET /v2 host=api.test", r.get("/v2", "Host", "api.test").body)
	require.Equal(t, "rest GET /v1/a host=www.test:1", r.get("/v1/a", "Host", "www.test:1").body)
	lost := r.get("/", "Host", "api.test.evil")
	require.Equal(t, http.StatusNotFound, lost.status)
	require.Equal(t, "not_found", lost.problem(t)["code"])
	require.NotEmpty(t, lost.header.Get("X-Request-Id"))
	require.Equal(t, lost.header.Get("X-Request-Id"), lost.problem(t)["request_id"])
}

// Whatever a path is written like, the upstream gets the one that was judged, or
// nothing.
func TestNoWayToWriteAPathIsAWayAroundItsPrice(t *testing.T) {
	t.Parallel()
	r := start(t, fmt.Sprintf(`
limits: {path_bytes: 100}
services: [{name: shop, upstream: "%s", price_sats: 5, free: ['/free/.*', '/']}]
`, upstream(t, echo("up"))))
	for path, want := range map[string]int{
		"/free/a":                               200,
		"/":                                     200,
		"/free/%61?a=/../paid.":                 200,
		"/free/a b":                             400, // Not HTTP.
		"/free/a%20b":                           200,
		"/free/%C3%A4":                          200,
		"/free/...":                             200,
		"/paid":                                 402,
		"/%70aid":                               402,
		"/Free/a":                               402,
		"/free":                                 402,
		"/paid/free/a":                          402,
		"/free/../paid":                         400,
		"/free/..":                              400,
		"/free/./a":                             400,
		"/free/%2e%2e/paid":                     400,
		"/free/%2E./paid":                       400,
		"/free/..%2fpaid":                       400,
		"/free/%2F../paid":                      400,
		"/free%2fa":                             400,
		"//paid":                                400,
		"/free//a":                              400,
		`/free/..\paid`:                         400,
		"/free/..%5cpaid":                       400,
		"/free/..;/paid":                        400,
		"/free/..;x=1/paid":                     400,
		"/free/%252e%252e/paid":                 400,
		"/free/%252fpaid":                       400,
		"/free/%25u002fpaid":                    400,
		"/free/%00":                             400,
		"/free/%0a/paid":                        400,
		"/free/%ff":                             400,
		"/free/%c0%ae%c0%ae/paid":               400,
		"/free/%zz":                             400,
		"free/a":                                400,
		"*":                                     400,
		"http://other.test/paid":                402,
		"http://other.test/free/a":              200,
		"http://other.test":                     400,
		"/free/" + strings.Repeat("x", 100):     414,
		"/free/" + strings.Repeat("x", 100_000): 431,
	} {
		answer := r.raw("GET " + path + " HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
		require.Equal(t, want, answer.status, path)
		if want == http.StatusOK {
			require.NotContains(t, answer.body, "/paid ", path)
		}
	}
	for _, method := range []string{"TRACE / HTTP/1.1", "CONNECT shop.test:80 HTTP/1.1", "get / HTTP/1.1"} {
		answer := r.raw(method + "\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
		require.Equal(t, http.StatusMethodNotAllowed, answer.status, method)
	}
	require.Equal(t, 400, r.raw("OPTIONS * HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n").status)
	require.Equal(t, "up GET /free/a%20b host=", strings.SplitAfter(r.get("/free/%61%20b").body, "host=")[0])
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	inside, release := make(chan struct{}), make(chan struct{})
	r := start(t, fmt.Sprintf(`
limits: {in_flight: 1, request_bytes: 10}
services: [{name: shop, upstream: "%s", auth: off}]
`, upstream(t, func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-release
	})))
	first := make(chan reply, 1)
	go func() { first <- r.get("/") }()
	<-inside
	busy := r.get("/")
	require.Equal(t, http.StatusServiceUnavailable, busy.status)
	require.NotEmpty(t, busy.header.Get("Retry-After"))
	require.Equal(t, "service_unavailable", busy.problem(t)["code"])
	close(release)
	require.Equal(t, http.StatusOK, (<-first).status)
}
