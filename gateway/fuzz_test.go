package gateway

import (
	"bufio"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"
)

// FuzzPath: a path that passes has one reading. The upstream that gets it, as
// the proxy writes it, reads what the price was judged by; so does one that
// cleans or decodes once more.
func FuzzPath(f *testing.F) {
	for _, target := range []string{
		"/", "/free/a", "/free/%61", "/free/../paid", "/free/%2e%2e/paid", "/free/..%2fpaid", "//paid", `/free/..\paid`, "/free/..;/paid", "/free/%252e%252e/paid",
		"/free/%25u002fpaid", "/free/%00", "/free/%ff", "/free/%c3%a4", "http://other.test/paid", "*", "/a?b=c;d&%zz", "/free/%c0%ae%c0%ae/paid", "/a%3fb", "/a%23b",
		"/a%3bb", "/%E2%80%AE", "/...", "/a b", "/%", "/[x]", "/a+b", "/a:b",
	} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: shop.test\r\n\r\n")))
		if err != nil {
			t.Skip("no request of HTTP")
		}
		if unclear(request.URL) != "" {
			return
		}
		judged := &url.URL{Path: request.URL.Path, RawQuery: request.URL.RawQuery}
		upstream, err := url.ParseRequestURI(judged.RequestURI())
		require.NoError(t, err)
		require.Equal(t, request.URL.Path, upstream.Path)
		require.Empty(t, upstream.Host)
		decoded, err := url.PathUnescape(upstream.Path)
		if err == nil {
			require.Equal(t, upstream.Path, decoded, "nothing changes by decoding twice")
		}
		cleaned := path.Clean(upstream.Path)
		if strings.HasSuffix(upstream.Path, "/") && cleaned != "/" {
			cleaned += "/"
		}
		require.Equal(t, upstream.Path, cleaned, "nothing changes by cleaning")
		again := *upstream
		require.Empty(t, unclear(&again), "what was judged is judged alike")
		require.False(t, strings.ContainsAny(judged.RequestURI(), " \r\n\t\\"))
	})
}

// FuzzHostname: a host is found whatever its case, port and dot.
func FuzzHostname(f *testing.F) {
	for _, host := range []string{"shop.test", "SHOP.test.:8085", "[::1]:80", "", ":", "a:b:c", "[::1]", "xn--bcher-kva.test"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name := hostname(host)
		if strings.Contains(name, ":") || strings.IndexFunc(name, func(r rune) bool { return r > '~' }) >= 0 {
			return // No name of a service is written so.
		}
		require.Equal(t, strings.ToLower(name), name)
		require.Equal(t, name, hostname(strings.ToUpper(name)+"."), "by whatever it is written")
	})
}

// FuzzOurs: a header of ours is ours in every way that an upstream may read its
// name.
func FuzzOurs(f *testing.F) {
	for _, name := range []string{"Lntpay-Charge-Id", "LNTPAY_CHARGE_ID", "X-Forwarded-For", "x_forwarded_for", "X-Original-Url", "Accept", "X-Real_Ip"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !httpguts.ValidHeaderFieldName(name) {
			t.Skip("no server lets it in")
		}
		for _, other := range []string{
			strings.ToUpper(name), strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "_", "-"), textproto.CanonicalMIMEHeaderKey(name),
		} {
			require.Equal(t, ours(name), ours(other), "%q %q", name, other)
		}
	})
}
