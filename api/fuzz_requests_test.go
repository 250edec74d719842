package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/api/conformance"
	"github.com/lntpay/lntpay/payments"
)

// fuzzed is an API on a real database that is asked without a network between.
type fuzzed struct {
	*bench

	handler http.Handler
}

func setupFuzzed(f *testing.F) fuzzed {
	f.Helper()
	b := setup(f, func(options *api.Options) {
		options.Log = slog.New(slog.DiscardHandler) // The fuzzer keeps what is logged.
		options.Config.MaxInFlight = 1
	})

	return fuzzed{b, b.server.Handler()}
}

// brief is an answer whose stream ends when it has begun.
type brief struct {
	*httptest.ResponseRecorder

	end context.CancelFunc
}

func (b brief) Flush()                           { b.end() }
func (brief) SetWriteDeadline(_ time.Time) error { return nil }
func (brief) SetReadDeadline(_ time.Time) error  { return nil }

// ask sends a request and holds the exchange to openapi.yaml.
func (z fuzzed) ask(t *testing.T, method, path, query string, header http.Header, body []byte) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request := &http.Request{
		Method: method, URL: &url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query}, Host: "localhost",
		Header: http.Header{"Authorization": {"Bearer " + z.key}}, Body: http.NoBody, RemoteAddr: "127.0.0.1:1",
	}
	if len(body) > 0 {
		request.Body = struct {
			*bytes.Reader
			nothingToClose
		}{bytes.NewReader(body), nothingToClose{}}
		request.ContentLength = int64(len(body))
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, header)
	answer := brief{httptest.NewRecorder(), cancel}
	z.handler.ServeHTTP(answer, request.WithContext(ctx))
	got := answer.Result()
	if got.Header.Get("Content-Type") != "text/event-stream" {
		require.NoError(t, conformance.Validate(request, body, got, answer.Body.Bytes()))
	}
	require.NotEqual(t, http.StatusInternalServerError, got.StatusCode, answer.Body)
	require.NotEqual(t, http.StatusServiceUnavailable, got.StatusCode, answer.Body)

	return reply{got.StatusCode, got.Header, answer.Body.String()}
}

type nothingToClose struct{}

func (nothingToClose) Close() error { return nil }

// written is how many rows each table has that a request could write to.
func (z fuzzed) written(t *testing.T) map[string]int {
	t.Helper()
	var counts map[string]int
	require.NoError(t, z.store.Pool.QueryRow(t.Context(), `SELECT json_build_object(
		'claim', (SELECT count(*) FROM claim), 'charge', (SELECT count(*) FROM charge), 'withdrawal', (SELECT count(*) FROM withdrawal),
		'api_key', (SELECT count(*) FROM api_key), 'webhook_endpoint', (SELECT count(*) FROM webhook_endpoint),
		'event', (SELECT count(*) FROM event), 'transfer', (SELECT count(*) FROM transfer), 'delivery', (SELECT count(*) FROM delivery),
		'sandbox_invoice', (SELECT count(*) FROM sandbox_invoice))`).Scan(&counts))

	return counts
}

// FuzzPost: a body that is refused has no effect, one that is accepted is what
// openapi.yaml allows and has its effect once, and every answer is one of those
// that are documented.
func FuzzPost(f *testing.F) {
	z := setupFuzzed(f)
	charge := z.charge(`{"amount_sats":1}`)
	endpoint := z.object(z.post("/v1/webhooks/endpoints", `{"url":"https://example.com/","events":["*"]}`), http.StatusCreated)["id"].(string)
	posts := []struct{ method, path, body string }{
		{http.MethodPost, "/v1/charges", `{"amount_sats":7,"description":"tea","expires_in":60,"metadata":{"a":"b"},"external_id":"x"}`},
		{http.MethodPost, "/v1/l402/challenges", `{"amount_msat":1,"resource":"GET /forecast","caveats":["city=Berlin","lntpay_valid_until=1800000000"]}`},
		{http.MethodPost, "/v1/l402/verify", `{"authorization":"L402 AgEE:00","resource":"GET /forecast"}`},
		{http.MethodPost, "/v1/withdrawals", `{"bolt11":"` + invoice(f, 0, with(zpay32.Expiry(6*24*time.Hour))) + `","amount_sats":1,"max_fee_msat":5}`},
		{http.MethodPost, "/v1/withdrawals/quote", `{"bolt11":"` + invoice(f, 1000, with(zpay32.Expiry(6*24*time.Hour))) + `"}`},
		{http.MethodPost, "/v1/keys", `{"name":"n","scopes":["keys:read"],"expires_at":"2027-01-31T12:00:00Z"}`},
		{http.MethodPost, "/v1/webhooks/endpoints", `{"url":"https://example.com/hook","events":["charge.paid"],"description":null}`},
		{http.MethodPatch, "/v1/webhooks/endpoints/" + endpoint, `{"url":"https://example.com/","events":["*"],"status":"disabled","description":"d"}`},
		{http.MethodPost, "/v1/webhooks/endpoints/" + endpoint + "/rotate-secret", `{"overlap_seconds":60}`},
		{http.MethodPost, "/v1/charges/" + charge + "/cancel", `{}`},
		{http.MethodPost, "/v1/sandbox/invoices", `{"behaviour":"settle","amount_sats":5}`},
		{http.MethodPost, "/v1/sandbox/charges/" + charge + "/pay", `{"amount_msat":1000}`},
	}
	for i, post := range posts {
		for _, body := range []string{post.body, "", "{}", "[]", strings.Replace(post.body, "{", `{"x":1e3,`, 1)} {
			f.Add(uint8(i), "", []byte(body))
			f.Add(uint8(i), "key-1", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, key string, body []byte) {
		post := posts[int(which)%len(posts)]
		if len(body) > 80<<10 {
			t.Skip("too long to be kept")
		}
		header := http.Header{}
		if key != "" {
			// Another key for another input: what the fuzzer did before must not count.
			header.Set("Idempotency-Key", key+payments.NewID("run"))
		}
		before := z.written(t)
		first := z.ask(t, post.method, post.path, "", header, body)
		after := z.written(t)
		switch {
		case first.status < http.StatusBadRequest:
			require.LessOrEqual(t, after["claim"], before["claim"]+1)
		case first.status == http.StatusUnprocessableEntity || first.status == http.StatusConflict:
			// Decided and kept under its key.
			after["claim"] = min(after["claim"], before["claim"])

			fallthrough
		default:
			require.Equal(t, before, after, first.body)
		}
		if key == "" || first.status >= http.StatusBadRequest || post.method != http.MethodPost {
			return
		}
		before = z.written(t)
		again := z.ask(t, post.method, post.path, "", header, body)
		require.Equal(t, first.status, again.status)
		require.Equal(t, before, z.written(t), "a repeat has no effect")
		if again.header.Get("Idempotent-Replayed") != "" {
			require.Equal(t, withoutSecrets(t, first.body), withoutSecrets(t, again.body))
		}
	})
}

// withoutSecrets is an object without what only its first answer shows.
func withoutSecrets(t *testing.T, body string) map[string]any {
	t.Helper()
	if body == "" {
		return nil
	}
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &object))
	for _, name := range []string{"secret", "key"} {
		delete(object, name)
	}

	return object
}

// FuzzList: whatever is asked of a list, the answer is a page of it or names
// what is wrong, and nothing is written.
func FuzzList(f *testing.F) {
	z := setupFuzzed(f)
	for range 3 {
		z.charges.pay(f, z.charge(`{"amount_sats":1,"external_id":"x"}`), 1000)
		z.charge(`{"amount_sats":1,"external_id":"x"}`)
	}
	lists := []string{
		"/v1/charges", "/v1/charges/usage", "/v1/withdrawals", "/v1/ledger/transfers", "/v1/keys", "/v1/webhooks/endpoints",
		"/v1/webhooks/deliveries", "/v1/events",
	}
	for i := range lists {
		for _, query := range []string{
			"", "limit=1", "limit=101", "cursor=MQ", "cursor=Y2hfeA", "status=paid", "external_id=x&limit=2", "type=charge.paid", "kind=charge_settled",
			"interval=day", "from=2026-01-01T00:00:00Z", "created_after=2026-01-31T12:00:00Z", "ref=%00", "a;b", "%", "endpoint_id=we_x", "status=failed",
			"from=0000-01-01T00:00:00Z&to=0000-01-01T01:00:00Z", "created_before=9999-12-31T23:59:59Z", "status=in_flight&external_id=x",
		} {
			f.Add(uint8(i), query)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, query string) {
		path := lists[int(which)%len(lists)]
		before := z.written(t)
		for pages := 0; ; pages++ {
			answer := z.ask(t, http.MethodGet, path, query, nil, nil)
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, answer.status, answer.body)
			var page struct {
				Data       []json.RawMessage `json:"data"`
				HasMore    bool              `json:"has_more"`
				NextCursor *string           `json:"next_cursor"`
			}
			require.NoError(t, json.Unmarshal([]byte(answer.body), &page))
			require.Equal(t, page.HasMore, page.NextCursor != nil)
			if page.NextCursor == nil {
				break
			}
			require.NotEmpty(t, page.Data)
			require.Less(t, pages, 20, "pages end")
			values, err := url.ParseQuery(query)
			require.NoError(t, err)
			values.Set("cursor", *page.NextCursor)
			query = values.Encode()
		}
		require.Equal(t, before, z.written(t))
	})
}

// FuzzHeader: no header but the whole key lets in, and none disturbs the
// answer. The stream begins wherever Last-Event-ID points.
func FuzzHeader(f *testing.F) {
	z := setupFuzzed(f)
	require.NoError(f, z.tryHappen(2))
	events, _ := z.bench.list(z.get("/v1/events"))
	for _, authorization := range []string{"Bearer " + z.key, "bearer  " + z.key + " ", "Basic " + z.key, z.key, "Bearer", "", "Bearer " + z.key + z.key} {
		f.Add(authorization, events[0], "application/json; charset=UTF-8", "mine-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		f.Add(authorization, "evt_00000000000000000000000000", "application/json;", "a b", "00-0-0-0")
		f.Add(authorization, "\x00", "text/plain", "", "")
	}
	f.Fuzz(func(t *testing.T, authorization, event, media, id, trace string) {
		header := http.Header{
			"Authorization": {authorization}, "Last-Event-Id": {event}, "Content-Type": {media}, "X-Request-Id": {id}, "Traceparent": {trace},
		}
		scheme, token, _ := strings.Cut(authorization, " ")
		mine := strings.EqualFold(scheme, "bearer") && strings.TrimSpace(token) == z.key
		before := z.written(t)
		for _, path := range []string{"/v1/events/stream", "/v1/balance"} {
			answer := z.ask(t, http.MethodGet, path, "", header, nil)
			require.Equal(t, mine, answer.status == http.StatusOK, "%d %s", answer.status, answer.body)
			require.Regexp(t, `\A[A-Za-z0-9._:-]{1,128}\z`, answer.header.Get("X-Request-Id"))
			if mine && path == "/v1/events/stream" {
				require.True(t, strings.HasPrefix(answer.body, "retry: 1000\n"), answer.body)
			}
		}
		require.Equal(t, before, z.written(t))
		answer := z.ask(t, http.MethodPost, "/v1/charges", "", header, []byte(`{"amount_msat":0}`))
		require.GreaterOrEqual(t, answer.status, http.StatusBadRequest)
		require.Equal(t, mine, answer.status != http.StatusUnauthorized)
		require.Equal(t, before, z.written(t))
	})
}
