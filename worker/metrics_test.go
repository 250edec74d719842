package worker

import (
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/gateway"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/sdk/go/l402"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"
)

var (
	described = regexp.MustCompile(`^Desc\{fqName: "([a-z_]+)", help: "(.*)", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	constant  = regexp.MustCompile(`([a-z_]+)="[^"]*"`)
	row       = regexp.MustCompile("(?m)^\\| `(lntpay_[a-z_]+)` \\| (.*?) \\| (.*?) \\| (.*?) \\|$")
)

// metricsOf are the names of a registry's metrics and their labels, with or
// without series.
func metricsOf(t *testing.T, registry *prometheus.Registry) map[string]string {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	all := map[string]string{}
	for desc := range descs {
		parts := described.FindStringSubmatch(desc.String())
		require.NotNil(t, parts, desc.String())
		require.NotEmpty(t, parts[2], "%s has no help text", parts[1])
		labels := constant.ReplaceAllString(parts[3], "$1")
		all[parts[1]] = strings.Trim(labels+","+parts[4], ",")
	}

	return all
}

// workerMetrics registers what a worker of one environment registers.
func workerMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	temporal, err := workflows.Dial("127.0.0.1:1", "none", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	w := &Worker{
		Store: &store.Store{}, Node: lightningtest.New("merchant"), temporal: temporal,
		starter: &workflows.Starter{Client: temporal}, log: slog.New(slog.DiscardHandler),
	}
	w.register(nil, nil, config.Webhooks{}, config.Environment{}, false, registry)
	t.Cleanup(w.sender.Close)

	return registry
}

func apiMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	_, err := api.New(api.Options{Config: config.Defaults().API, Environments: map[payments.Environment]api.Environment{}, Registry: registry})
	require.NoError(t, err)

	return registry
}

func gatewayMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	_, err := gateway.New(gateway.Options{Config: &gateway.Config{}, Key: l402.Key{}, Registry: registry})
	require.NoError(t, err)

	return registry
}

// Each metric of each kind of process is a row of docs/metrics.md with its
// labels and the kinds of process that have it, and each row is a metric.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	documented, labels, has := map[string]bool{}, map[string]string{}, map[string]map[string]bool{}
	for _, found := range row.FindAllStringSubmatch(string(page), -1) {
		require.False(t, documented[found[1]], "%s has two rows", found[1])
		documented[found[1]] = true
		labels[found[1]] = regexp.MustCompile("[` -]").ReplaceAllString(found[2], "")
		has[found[1]] = map[string]bool{}
		for _, kind := range regexp.MustCompile(`[a-z]+`).FindAllString(found[3], -1) {
			has[found[1]][kind] = true
		}
	}
	exists := map[string]bool{"lntpay_build_info": true} // main_test.go sees to it.
	for kind, registry := range map[string]*prometheus.Registry{
		"worker": workerMetrics(t), "api": apiMetrics(t), "gateway": gatewayMetrics(t),
	} {
		for name, itsLabels := range metricsOf(t, registry) {
			exists[name] = true
			require.True(t, documented[name], "docs/metrics.md has no row of %s", name)
			require.True(t, has[name][kind], "docs/metrics.md does not say that %s has %s", kind, name)
			require.Equal(t, itsLabels, labels[name], name)
		}
	}
	for name := range documented {
		require.True(t, exists[name], "docs/metrics.md has a row of %s, which no process has", name)
	}
}
