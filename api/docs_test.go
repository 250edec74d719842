package api_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocs: the page and all that it names come from this server, and its
// policy lets a browser ask nobody else.
func TestDocs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	page := b.plain("/docs")
	require.Equal(t, http.StatusOK, page.status)
	policy := page.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'self'")
	require.NotRegexp(t, `http|ws:|\*`, policy, "no other host")
	require.Contains(t, page.body, `"swaggerJsonUrl":"/openapi.json"`)
	for setting, value := range map[string]string{"persistAuthorization": "true", "validatorUrl": "null"} {
		require.Contains(t, page.body, setting+": "+value)
	}
	assets := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.body, -1)
	require.Len(t, assets, 5, "a style, two icons and two scripts")
	for _, asset := range assets {
		require.True(t, strings.HasPrefix(asset[1], "/docs/"), asset[1])
		answer := b.plain(asset[1])
		require.Equal(t, http.StatusOK, answer.status, asset[1])
		require.NotEmpty(t, answer.body, asset[1])
		if strings.HasSuffix(asset[1], ".css") {
			require.NotRegexp(t, `@import|url\(["']?(?:https?:)?//`, answer.body)
		}
	}
	require.Equal(t, http.StatusNotFound, b.plain("/docs/nothing.js").status)
}

// plain gets what openapi.yaml does not describe, as a browser does.
func (b *bench) plain(path string) reply {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+path, http.NoBody)
	require.NoError(b.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(b.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)

	return reply{response.StatusCode, response.Header, string(body)}
}
