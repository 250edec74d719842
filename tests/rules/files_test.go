package rules

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

const (
	root       = "../.."
	alertsFile = root + "/deploy/prometheus/alerts.yaml"
	runbooks   = root + "/docs/runbooks"
	// base is what runbook links begin with.
	base = "https://github.com/lntpay/lntpay/blob/main/docs/runbooks/"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)

	return string(text)
}

// known are the names of samples: of docs/metrics.md, which other tests compare
// with what the processes register, and of every scrape.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{
		"up": true, "process_start_time_seconds": true, "process_resident_memory_bytes": true, "process_cpu_seconds_total": true,
		"process_open_fds": true, "go_goroutines": true, "go_memstats_heap_inuse_bytes": true,
	}
	rows := regexp.MustCompile("(?m)^\\| `((?:lntpay|temporal)_[a-z_]+)` \\|").FindAllStringSubmatch(read(t, root+"/docs/metrics.md"), -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			names[row[1]+suffix] = true
		}
	}

	return names
}

// parse reads an expression and checks that what it asks for exists.
func parse(t *testing.T, names map[string]bool, expression string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	require.NoError(t, err, expression)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name == model.MetricNameLabel {
				require.True(t, names[matcher.Value], "no process has %s: %s", matcher.Value, expression)
			}
		}

		return nil
	})
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}

	return all
}

// noticed are the names that activities/alert.go gives to alerts.
func noticed(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^\tAlert\w+\s+= "([a-z_]+)"$`).FindAllStringSubmatch(read(t, root+"/activities/alert.go"), -1) {
		names = append(names, found[1])
	}
	require.NotEmpty(t, names)

	return names
}

// Every alert asks for metrics that exist, says what is wrong, and leads to a
// page that names it.
func TestAlerts(t *testing.T) {
	t.Parallel()
	names, seen := known(t), map[string]bool{}
	for _, rule := range alerts(t) {
		require.NotEmpty(t, rule.Alert)
		require.False(t, seen[rule.Alert], "%s is there twice", rule.Alert)
		seen[rule.Alert] = true
		parse(t, names, rule.Expr)
		require.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
		require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		page, ok := strings.CutPrefix(rule.Annotations["runbook"], base)
		require.True(t, ok, "%s: %s", rule.Alert, rule.Annotations["runbook"])
		pages := []string{page}
		if strings.Contains(page, "{{ $labels.alert }}") {
			pages = nil
			for _, name := range noticed(t) {
				pages = append(pages, strings.ReplaceAll(page, "{{ $labels.alert }}", name))
			}
			pages = append(pages, "README.md")
		}
		for _, one := range pages {
			text := read(t, filepath.Join(runbooks, one))
			require.True(t, len(pages) > 1 && one != "README.md" || strings.Contains(text, "`"+rule.Alert+"`"), "%s does not name %s", one, rule.Alert)
		}
		require.Contains(t, read(t, runbooks+"/README.md"), "`"+rule.Alert+"`")
	}
}

// The pages name no alert that does not exist, nor do the rules name an alert of
// the code that does not exist.
func TestNamesOfAlertsExist(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	for _, rule := range alerts(t) {
		exists[rule.Alert] = true
	}
	require.NoError(t, filepath.WalkDir(root+"/docs", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		for _, name := range regexp.MustCompile(`\bLNTPay[A-Z]\w+`).FindAllString(read(t, path), -1) {
			require.True(t, exists[name], "%s names %s", path, name)
		}

		return nil
	}))
	for _, list := range regexp.MustCompile(`alert[!=]~"([a-z_|]+)"`).FindAllStringSubmatch(read(t, alertsFile), -1) {
		for name := range strings.SplitSeq(list[1], "|") {
			require.True(t, slices.Contains(noticed(t), name), "no alert is called %s", name)
		}
	}
}

// What the pages ask Prometheus exists. Queries are indented blocks, with a
// comment behind two or more spaces.
func TestQueriesOfRunbooks(t *testing.T) {
	t.Parallel()
	names, asked := known(t), 0
	// Pages of ours are called temporal_… too: a metric has a third word of the SDK's.
	name := regexp.MustCompile(`\b(?:lntpay_|temporal_(?:workflow|activity|local|worker|num|sticky|request|long)_)[a-z_]+\b`)
	pages, err := filepath.Glob(runbooks + "/*.md")
	require.NoError(t, err)
	for _, page := range pages {
		for _, used := range name.FindAllString(read(t, page), -1) {
			asked++
			require.True(t, names[used], "%s names %s", page, used)
		}
	}
	require.Greater(t, asked, 20)
}
