package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
)

// callOf is a call of a GET with this query.
func callOf(query string) *call {
	return &call{Context: &gin.Context{Request: &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: query}}}}
}

// FuzzQuery: what a list accepts is within its bounds, and names nothing that
// it has ignored.
func FuzzQuery(f *testing.F) {
	cursor := *listOf([]string{payments.NewID("ch"), "more"}, 1, func(id string) string { return id }, func(id string) string { return id }).NextCursor
	for _, query := range []string{
		"", "limit=1", "limit=100", "limit=101", "limit=+1", "limit=01", "limit=1&limit=1", "limit=%31", "cursor=" + cursor, "cursor=" + cursor + "=",
		"cursor=", "status=paid", "status=PAID", "external_id=", "external_id=%00", "external_id=%ff", "created_after=2026-01-31T12:00:00Z",
		"created_before=9999-12-31T23:59:59-01:00", "created_after=0000-01-01T00:00:00%2B01:00", "unknown=1", "a;b", "%zz", "&&", "=",
		"status=paid&external_id=a%26b&created_after=2026-01-31T12:00:00.123456789%2B02:00&limit=5",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := readQuery(callOf(text))
		if err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		page, filter := q.page(payments.PrefixCharge), q.chargeFilter()
		if err := q.result(); err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		values, err := url.ParseQuery(text)
		require.NoError(t, err)
		for name, given := range values {
			require.Contains(t, []string{"limit", "cursor", "status", "external_id", "created_after", "created_before"}, name)
			require.Len(t, given, 1)
		}
		require.True(t, page.limit >= 1 && page.limit <= 100)
		require.True(t, page.before == "ch_~" || payments.ValidID("ch", page.before))
		require.NotContains(t, filter.externalID, "\x00")
		for _, at := range []time.Time{filter.createdAfter, filter.createdBefore} {
			require.True(t, at.Year() >= 0 && at.Year() <= 9999)
			again, ok := parseTime(at.Format(time.RFC3339Nano))
			require.True(t, ok && again.Equal(at))
		}
	})
}

// FuzzSpan: usage is asked for in whole intervals, and not too many.
func FuzzSpan(f *testing.F) {
	for _, query := range []string{
		"", "interval=day", "interval=hour", "interval=week", "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
		"from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", "to=0000-01-01T00:00:00Z", "interval=day&from=2026-01-01T23:30:00-02:00",
		"to=9999-12-31T23:59:59.999999999Z&interval=day", "from=1969-12-31T23:00:00Z&to=1970-01-01T00:00:01Z",
	} {
		f.Add(query)
	}
	now := time.Date(2026, 11, 22, 18, 52, 12, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := readQuery(callOf(text))
		if err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		from, to, width := q.span(now)
		if err := q.result(); err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)

			return
		}
		require.True(t, width == time.Hour || width == day)
		require.True(t, from.Before(to))
		require.LessOrEqual(t, to.Sub(from), 1000*width)
		require.Zero(t, to.Sub(from)%width)
		require.True(t, from.Equal(from.Truncate(width)))
	})
}

// FuzzCursor: a next_cursor is read as what it was made of, and as nothing
// else; no other text is one.
func FuzzCursor(f *testing.F) {
	f.Add(payments.NewID("ch"), "Y2hfeA")
	f.Add("ch_", "")
	f.Add("1", "MQ")
	f.Add("9223372036854775808", "MQ==")
	f.Add("+1", "K_o")
	f.Add(payments.NewID("ch"), "MR")
	f.Add("01", "M\nQ")
	f.Fuzz(func(t *testing.T, seen, other string) {
		same := func(text string) string { return text }
		cursor := *listOf([]string{seen, ""}, 1, same, same).NextCursor
		for _, text := range []string{cursor, other} {
			q, err := readQuery(callOf("cursor=" + url.QueryEscape(text)))
			require.NoError(t, err)
			page := q.page(payments.PrefixCharge)
			switch err := q.result(); {
			case err != nil:
				mustBeProblem(t, err, http.StatusBadRequest)
				require.False(t, text == cursor && payments.ValidID("ch", seen), "what we gave is taken back")
			default:
				require.True(t, payments.ValidID("ch", page.before))
				again := *listOf([]string{page.before, ""}, 1, same, same).NextCursor
				require.Equal(t, again, text, "an id has one cursor")
			}
			q, err = readQuery(callOf("cursor=" + url.QueryEscape(text)))
			require.NoError(t, err)
			sequence := q.sequence()
			if err := q.result(); err != nil {
				mustBeProblem(t, err, http.StatusBadRequest)
				require.Zero(t, sequence)
			} else {
				require.Positive(t, sequence)
				again := *listOf([]string{strconv.FormatInt(sequence, 10), ""}, 1, same, same).NextCursor
				require.Equal(t, again, text, "a sequence has one cursor")
			}
		}
	})
}

// FuzzHeaders: of the headers that name things, only what is plain passes.
func FuzzHeaders(f *testing.F) {
	f.Add("Bearer lnt_sandbox_x", "order-1", "evt_1", "mine-1", "203.0.113.7")
	f.Add("bearer  x", " ", "", "a b", "10.0.0.1, 203.0.113.7")
	f.Add("Bearer", strings.Repeat("k", 256), "\x00", strings.Repeat("x", 129), "::ffff:10.0.0.2,fe80::1%eth0")
	f.Add("Basic eDp5", "é", "evt_00000000000000000000000000", "<script>", ",,")
	trusting, err := newFailures(config.API{TrustedProxies: []string{"10.0.0.0/8"}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, authorization, key, _, request, forwarded string) {
		header := http.Header{"Authorization": {authorization}, "Idempotency-Key": {key}, "X-Forwarded-For": {forwarded}, "X-Request-Id": {request}}
		if token := bearer(header); token != "" {
			require.True(t, strings.EqualFold(authorization[:len("bearer ")], "bearer "))
			require.Equal(t, token, strings.TrimSpace(authorization[len("bearer "):]))
		}
		require.Empty(t, bearer(http.Header{"Authorization": {authorization, authorization}}), "one key, or none")

		c := callOf("")
		c.Request.Header = header
		c.Request.RemoteAddr = "203.0.113.1:4711"
		if got, err := c.idempotencyKey(); err != nil {
			mustBeProblem(t, err, http.StatusBadRequest)
		} else {
			require.Equal(t, key, *got)
			require.True(t, len(key) >= 1 && len(key) <= 255)
			require.Equal(t, -1, strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r > '~' }))
		}
		require.Equal(t, netip.MustParseAddr("203.0.113.1"), trusting.address(c.Request), "only a trusted proxy is believed")
		c.Request.RemoteAddr = "10.1.2.3:4711"
		require.True(t, trusting.address(c.Request).IsValid())

		c.Context, _ = gin.CreateTestContext(httptest.NewRecorder())
		c.Request = &http.Request{Header: header, URL: &url.URL{Path: "/"}}
		identify(c.Context)
		require.Regexp(t, `\A[A-Za-z0-9._:-]{1,128}\z`, requestID(c.Context))
		require.Equal(t, requestID(c.Context), c.Writer.Header().Get("X-Request-Id"))
	})
}
