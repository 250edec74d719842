package workflows_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/lntpay/lntpay/telemetry"
	"github.com/lntpay/lntpay/workflows"
)

// recorded are the histories of TestHistories in tests/suite, which also says how
// they are recorded anew.
func recorded() map[string]string {
	return map[string]string{
		"charge-paid":             workflows.NameCharge,
		"charge-eager":            workflows.NameCharge,
		"charge-expired":          workflows.NameCharge,
		"charge-canceled":         workflows.NameCharge,
		"charge-paid-delivered":   workflows.NameCharge,
		"charge-paid-undelivered": workflows.NameCharge,
		"delivery-retried":        workflows.NameDelivery,
		"node-watcher":            workflows.NameNodeWatcher,
		"sweeper":                 workflows.NameSweeper,
		"reconcile":               workflows.NameReconcile,
		"withdrawal-succeeded":    workflows.NameWithdrawal,
		"withdrawal-failed":       workflows.NameWithdrawal,
		"withdrawal-held":         workflows.NameWithdrawal,
		"withdrawal-booked":       workflows.NameWithdrawal,
		"withdrawal-refused":      workflows.NameWithdrawal,
		"quote":                   workflows.NameQuote,
		"sandbox-paid":            workflows.NameSandbox,
		"sandbox-released":        workflows.NameSandbox,
	}
}

func historyFile(name string) string { return filepath.Join("testdata", "replay", name+".json") }

// replay replays a history, with interceptors as a worker that traces has them.
func replay(name string, workflowsByName map[string]any, interceptors ...interceptor.WorkerInterceptor) error {
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{Interceptors: interceptors})
	if err != nil {
		return err
	}
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
	all := map[string]any{
		workflows.NameCharge: workflows.Charge, workflows.NameDelivery: workflows.Delivery,
		workflows.NameNodeWatcher: workflows.NodeWatcher, workflows.NameSweeper: workflows.Sweeper, workflows.NameReconcile: workflows.Reconcile,
		workflows.NameWithdrawal: workflows.Withdrawal, workflows.NameQuote: workflows.Quote,
		workflows.NameSandbox: workflows.Sandbox,
	}
	// Traces are switched on and off between releases of a run.
	spans := tracetest.NewInMemoryExporter()
	_, err := telemetry.StartWith(t.Context(), telemetry.Config{SampleRatio: 1, ServiceName: "test"}, sdktrace.NewSimpleSpanProcessor(spans))
	require.NoError(t, err)
	interceptors, err := telemetry.Interceptors()
	require.NoError(t, err)
	traced, ok := interceptors[0].(interceptor.WorkerInterceptor)
	require.True(t, ok)
	t.Run("histories", func(t *testing.T) {
		for name := range recorded() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				require.NoError(t, replay(name, all))
				require.NoError(t, replay(name, all, traced))
			})
		}
	})
	// A span is written when its run ends; these do not in their histories.
	open := []string{workflows.NameNodeWatcher, workflows.NameSweeper, workflows.NameReconcile}
	for _, workflowType := range recorded() {
		if slices.Contains(open, workflowType) {
			continue
		}
		require.True(t, slices.ContainsFunc(spans.GetSpans(), func(span tracetest.SpanStub) bool {
			return span.Name == "RunWorkflow:"+workflowType
		}), "no run of %s was traced", workflowType)
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

// secretsIn returns what has the form of a secret.
func secretsIn(text string) []string {
	found := secretForms.FindAllString(text, -1)
	for _, token := range secretToken.FindAllString(text, -1) {
		// Ids of ours may be long when they stand together.
		if !strings.Contains(token, "ch_") && !strings.Contains(token, "dlv_") && !strings.Contains(token, "wd_") {
			found = append(found, token)
		}
	}

	return found
}

// TestHistoriesHoldNoSecrets scans the recorded histories for anything of a
// secret's form; the recorder has looked for the secrets themselves.
func TestHistoriesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for name := range recorded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(historyFile(name))
			require.NoError(t, err)
			require.Empty(t, secretForms.FindAllString(payloadData.ReplaceAllString(string(text), ""), -1))
			var payloads strings.Builder
			for _, match := range payloadData.FindAllSubmatch(text, -1) {
				data, err := base64.StdEncoding.DecodeString(string(match[1]))
				require.NoError(t, err)
				require.True(t, utf8.Valid(data), "bytes that are no text: %q", data)
				payloads.Write(append(data, '\n'))
			}
			scanned := payloads.String()
			if match := hashAttribute.FindSubmatch(text); match != nil {
				// Where a run is refused only the attribute has the hash.
				hash, err := base64.StdEncoding.DecodeString(string(match[1]))
				require.NoError(t, err)
				scanned = strings.ReplaceAll(scanned, string(hash), "")
			}
			require.Empty(t, secretsIn(withoutPublic(scanned)))
		})
	}
}

// What is public and looks like a secret: the payment hash where the state says
// it (the other side has it), and the invoice that a quote asks about.
var (
	paymentHash = regexp.MustCompile(`"PaymentHash":"([0-9a-f]{64})"`)
	// hashAttribute is the payment hash as a search attribute.
	hashAttribute = regexp.MustCompile(`"PaymentHash":\s*\{\s*"metadata":\s*\{[^}]*\},\s*"data":\s*"([^"]*)"`)
	quotedOf      = regexp.MustCompile(`\{"Bolt11":"(lnbcrt[0-9a-z]+)","AmountMsat":[0-9]+\}`)
)

func withoutPublic(text string) string {
	for _, public := range []*regexp.Regexp{paymentHash, quotedOf} {
		if match := public.FindStringSubmatch(text); match != nil {
			text = strings.ReplaceAll(text, match[1], "")
		}
	}

	return text
}

// A scan that cannot find anything proves nothing.
func TestSecretScanFinds(t *testing.T) {
	t.Parallel()
	secret := sha256.Sum256([]byte("a preimage"))
	for name, text := range map[string]string{
		"hex":            hex.EncodeToString(secret[:]),
		"base64":         base64.StdEncoding.EncodeToString(secret[:]),
		"base64, URL":    base64.RawURLEncoding.EncodeToString(secret[:]),
		"bolt11":         "lnbcrt10n1pn0zqwspp5abcdefghjklmnpqrstuv",
		"webhook secret": "whsec_abc",
		"API key":        "lnt_sandbox_abc",
		"macaroon":       "0201036C6E6402",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, secretsIn(`{"Value":"`+text+`"}`))
		})
	}
}
