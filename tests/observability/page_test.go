package observability_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
)

const (
	envRecord = "LNTPAY_RECORD_OBSERVABILITY"
	page      = "../../docs/observability.md"
)

// TestPage holds the blocks of docs/observability.md to what a payment says now:
// the same spans in the same places, the same lines with the same keys, and
// metrics that exist. Times, ids and amounts are those of the recorded run.
func TestPage(t *testing.T) {
	c := newClient(t)
	_, got := c.receive(t, http.StatusOK)
	charge := c.paid(t, 1000)
	<-got
	withdrawal := c.withdrawn(t)
	<-got
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	recorded := blocks(string(content))
	recording := os.Getenv(envRecord) != ""
	// What is counted now and then is there in a moment.
	require.Eventually(t, func() bool {
		return recording || containsAll(series(excerpt(t, c.workerMetrics(t))), series(recorded["worker-metrics"]))
	}, 2*time.Minute, time.Second, "not all of the worker's metrics on the page exist")
	fresh := map[string]string{
		"charge-trace":     c.traceOf(t, charge, "POST /v1/charges"),
		"receipt-trace":    c.traceOf(t, charge, "receipts"),
		"withdrawal-trace": c.traceOf(t, withdrawal, "POST /v1/withdrawals"),
		"charge-log":       logOf(t, charge),
		"withdrawal-log":   logOf(t, withdrawal),
		"worker-metrics":   excerpt(t, c.workerMetrics(t)),
		"api-metrics":      excerpt(t, c.apiMetrics(t)),
	}
	if recording {
		require.NoError(t, os.WriteFile(page, []byte(replace(t, string(content), fresh)), 0o600))

		return
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(fresh)), slices.Collect(maps.Keys(recorded)), "the blocks of %s", page)
	for name, now := range fresh {
		hint := name + " in " + page + " has changed: make record-observability"
		switch {
		case strings.HasSuffix(name, "-trace"):
			require.Equal(t, paths(recorded[name]), paths(now), hint)
		case strings.HasSuffix(name, "-log"):
			require.Equal(t, shapes(t, recorded[name]), shapes(t, now), hint)
		default:
			require.Subset(t, series(now), series(recorded[name]), hint)
		}
	}
}

// traceOf is the trace of a payment that begins with a span, once all of it is
// there: the span of a run ends a moment after the run.
func (c *client) traceOf(t *testing.T, id, root string) (whole string) {
	t.Helper()
	await(t, "the trace of "+root, func() bool {
		found := traces(shared.spans.GetSpans(), id, root)
		if len(found) == 0 {
			return false
		}
		whole = tree(found[0])

		return root == "receipts" || strings.Contains(whole, "RunWorkflow:") && strings.Contains(whole, "webhook POST")
	})

	return whole
}

// logOf are the lines about a payment from info on, as they are.
func logOf(t *testing.T, id string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(string(shared.log.all())) {
		if strings.Contains(line, id) && !strings.Contains(line, `"level":"DEBUG"`) {
			lines = append(lines, line)
		}
	}
	require.NotEmpty(t, lines)

	return strings.Join(lines, "")
}

// shapes are the kinds of lines in a log: level, message, activity and route, and
// the keys, each once.
func shapes(t *testing.T, log string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(log) {
		var record object
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		keys := slices.Sorted(maps.Keys(record))
		all = append(all, fmt.Sprint(record["level"], record["msg"], record["activity"], record["route"], record["status"], keys))
	}
	slices.Sort(all)

	return slices.Compact(all)
}

func (c *client) workerMetrics(t *testing.T) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(c.WorkerMetrics, promhttp.HandlerOpts{}).
		ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))

	return recorder.Body.String()
}

func (c *client) apiMetrics(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.Config.API.OperatorListen+"/metrics", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return string(body)
}

// shown are the metrics of payments; a histogram by its sum and count.
var shown = regexp.MustCompile(`^(# HELP )?lntpay_(charges|withdrawals|receipts|settle|node_stream|swept|http|webhook|deliver|ledger|payment)`)

// passing are metrics that are there only while something is open.
var passing = regexp.MustCompile(`^(# HELP )?lntpay_(charges|withdrawals)_(open|oldest|soonest|most)`)

// excerpt is what the page shows of /metrics.
func excerpt(t *testing.T, metrics string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(metrics) {
		if shown.MatchString(line) && !passing.MatchString(line) && !strings.Contains(line, "_bucket{") {
			lines = append(lines, line)
		}
	}
	require.NotEmpty(t, lines)

	return strings.Join(lines, "")
}

// series are the names of the metrics in an excerpt.
func series(excerpt string) []string {
	var names []string
	for line := range strings.Lines(excerpt) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, line[:strings.IndexAny(line, "{ ")])
		}
	}
	slices.Sort(names)

	return slices.Compact(names)
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(one string) bool { return !slices.Contains(all, one) })
}

// block is a fenced block behind the comment that names it.
var block = regexp.MustCompile("(?s)(<!-- recorded: ([a-z-]+) -->\n```[a-z]*\n)(.*?)(```\n)")

func blocks(content string) map[string]string {
	found := map[string]string{}
	for _, match := range block.FindAllStringSubmatch(content, -1) {
		found[match[2]] = match[3]
	}

	return found
}

func replace(t *testing.T, content string, fresh map[string]string) string {
	t.Helper()
	replaced := map[string]bool{}
	content = block.ReplaceAllStringFunc(content, func(old string) string {
		match := block.FindStringSubmatch(old)
		replaced[match[2]] = true

		return match[1] + fresh[match[2]] + match[4]
	})
	for name := range fresh {
		require.True(t, replaced[name], "%s has no place for %s", page, name)
	}

	return content
}
