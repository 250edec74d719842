package workflows_test

import (
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/workflows"
)

// recorded are the histories of tests/e2e.TestHistories, which also says how
// they are recorded anew.
func recorded() map[string]string {
	return map[string]string{
		"charge-paid":             workflows.NameCharge,
		"charge-expired":          workflows.NameCharge,
		"charge-canceled":         workflows.NameCharge,
		"charge-paid-delivered":   workflows.NameCharge,
		"charge-paid-undelivered": workflows.NameCharge,
		"delivery-retried":        workflows.NameDelivery,
		"node-watcher":            workflows.NameNodeWatcher,
		"sweeper":                 workflows.NameSweeper,
	}
}

func historyFile(name string) string { return filepath.Join("testdata", "replay", name+".json") }

func replay(name string, workflowsByName map[string]any) error {
	replayer := worker.NewWorkflowReplayer()
	for name, w := range workflowsByName {
		replayer.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
	logger := log.NewStructuredLogger(slog.New(slog.DiscardHandler))

	return replayer.ReplayWorkflowHistoryFromJSONFile(logger, historyFile(name))
}

// TestReplay replays what ran on a real server: a change of the workflows that
// would break the runs in flight fails here.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name := range recorded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replay(name, map[string]any{
				workflows.NameCharge: workflows.Charge, workflows.NameDelivery: workflows.Delivery,
				workflows.NameNodeWatcher: workflows.NodeWatcher, workflows.NameSweeper: workflows.Sweeper,
			}))
		})
	}
}

// A replay that cannot fail proves nothing.
func TestReplayNoticesOtherCommands(t *testing.T) {
	t.Parallel()
	idle := func(workflow.Context) error { return nil }
	for name, workflowType := range recorded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, replay(name, map[string]any{workflowType: idle}))
		})
	}
}

var (
	payloadData = regexp.MustCompile(`"data":\s*"([^"]*)"`)
	// Whatever is 32 bytes long in hex or base64 could be a preimage or a key;
	// a bolt11, a webhook secret, an API key and a macaroon have marks.
	secretForms = regexp.MustCompile(`(?i)[0-9a-f]{64}|\bln(bc|tb|bcrt|sb)[0-9a-z]{20}|whsec_|lnt_|macaroon|preimage|0201036c6e64`)
	secretToken = regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}`)
)

// TestHistoriesHoldNoSecrets scans the recorded histories for anything of a
// secret's form; the recorder has looked for the secrets themselves.
func TestHistoriesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for name := range recorded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(historyFile(name))
			require.NoError(t, err)
			var seen strings.Builder
			for _, match := range payloadData.FindAllSubmatch(text, -1) {
				data, err := base64.StdEncoding.DecodeString(string(match[1]))
				require.NoError(t, err)
				seen.Write(append(data, '\n'))
			}
			require.Empty(t, secretForms.FindAllString(seen.String(), -1))
			require.Empty(t, secretForms.FindAllString(payloadData.ReplaceAllString(string(text), ""), -1))
			for _, token := range secretToken.FindAllString(seen.String(), -1) {
				require.True(t, named(token), "an unexplained token: %s", token)
			}
		})
	}
}

// named reports whether a long token is a word that workflows write.
func named(token string) bool {
	return strings.Contains(token, "ch_") || strings.Contains(token, "dlv_")
}
