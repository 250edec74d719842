package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/conformance"
)

// TestValidate shows that the document has teeth.
func TestValidate(t *testing.T) {
	t.Parallel()
	const (
		emptyList = `{"object":"list","data":[],"has_more":false,"next_cursor":null}`
		key       = `{"id":"key_01kg8t6w6vf4x9b2v6ms3q8r5n","object":"key","environment":"sandbox","name":"n",` +
			`"scopes":[],"last4":"abcd","expires_at":null,"created_at":"2026-01-31T12:00:00Z"}`
		problem = `{"type":"https://lntpay.dev/problems/x","title":"t","status":404,"detail":"d","code":"not_found","request_id":"r"}`
	)
	listOf := func(item string) string {
		return `{"object":"list","data":[` + item + `],"has_more":false,"next_cursor":null}`
	}
	cases := map[string]struct {
		method, path, media string
		status              int
		body                string
		ok                  bool
	}{
		"empty list":          {"GET", "/v1/keys", "application/json", 200, emptyList, true},
		"list of keys":        {"GET", "/v1/keys", "application/json", 200, listOf(key), true},
		"field too many":      {"GET", "/v1/keys", "application/json", 200, listOf(strings.Replace(key, "{", `{"more":1,`, 1)), false},
		"list field too many": {"GET", "/v1/keys", "application/json", 200, strings.Replace(emptyList, "{", `{"more":1,`, 1), false},
		"field missing":       {"GET", "/v1/keys", "application/json", 200, listOf(strings.Replace(key, `"last4":"abcd",`, "", 1)), false},
		"local time":          {"GET", "/v1/keys", "application/json", 200, listOf(strings.Replace(key, "00:00Z", "00:00+02:00", 1)), false},
		"float": {"GET", "/v1/balance", "application/json", 200, `{"object":"balance","environment":"sandbox",` +
			`"available_msat":1.5,"locked_msat":0,"pending_msat":0,"as_of":"2026-01-31T12:00:00Z"}`, false},
		"undocumented status": {"GET", "/v1/keys", "application/json", 202, emptyList, false},
		"undocumented query":  {"GET", "/v1/keys?limit=1000", "application/json", 200, emptyList, false},
		"problem":             {"GET", "/v1/charges/x", "application/problem+json", 404, problem, true},
		"problem as JSON":     {"GET", "/v1/charges/x", "application/json", 404, problem, false},
		"other status":        {"GET", "/v1/charges/x", "application/problem+json", 403, problem, false},
		"unknown path":        {"GET", "/nowhere", "application/problem+json", 404, problem, true},
		"text on no path":     {"GET", "/nowhere", "text/plain", 404, "404 page not found", false},
		"success on no path":  {"GET", "/nowhere", "application/json", 200, "{}", false},
	}
	for name, c := range cases {
		recorder := httptest.NewRecorder()
		recorder.Header().Set("Content-Type", c.media)
		recorder.Header().Set("X-Request-Id", "r")
		recorder.WriteHeader(c.status)
		request := httptest.NewRequest(c.method, "http://127.0.0.1"+c.path, nil)
		err := conformance.Validate(request, nil, recorder.Result(), []byte(c.body))
		if c.ok {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, conformance.ErrMismatch, name)
		}
	}
	bare := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}}
	require.Error(t, conformance.Validate(httptest.NewRequest(http.MethodGet, "/v1/keys", nil), nil, bare, []byte(emptyList)),
		"no X-Request-Id")
}
