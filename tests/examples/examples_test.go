// Package examples_test asks a real stack for every operation of the API and
// compares the answers with the examples of the documentation in
// api/examples.json. LNTPAY_RECORD_EXAMPLES=1 writes them anew, which
// `make record-examples` does.
package examples_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api"
)

const (
	envRecord = "LNTPAY_RECORD_EXAMPLES"
	file      = "../../api/examples.json"
)

func TestEveryOperationHasARow(t *testing.T) {
	t.Parallel()
	has := map[string]bool{}
	for _, r := range rows {
		has[r.operation] = has[r.operation] || (r.status < 300 && isKept(r.name))
	}
	for id, at := range operations(t) {
		require.True(t, has[id], "%s (%s %s) has no row with a success in tests/examples/rows_test.go: "+
			"add one, then `make record-examples`", id, at.method, at.path)
	}
}

func isKept(name string) bool { return name != "" && !strings.HasPrefix(name, "-") }

func TestExamples(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs Postgres, Temporal and a Lightning network, which -short leaves out")
	}
	w := openWalk(t)
	var fresh []api.Example
	for _, r := range rows {
		began := time.Now()
		e := w.do(t, r)
		t.Logf("%s %s: %s", r.operation, r.name, time.Since(began).Round(time.Millisecond))
		if isKept(r.name) {
			fresh = append(fresh, harmless(t, e))
		}
	}
	if os.Getenv(envRecord) != "" {
		record(t, fresh)

		return
	}
	recorded, err := api.Examples()
	require.NoError(t, err)
	const advice = "if that is meant, `make record-examples`"
	require.Equal(t, names(fresh), names(recorded), "api/examples.json has not the rows of rows_test.go: %s", advice)
	for i, e := range fresh {
		require.Equal(t, shapeOf(t, recorded[i]), shapeOf(t, e), "the answer of %s (%s) has another shape than its example: %s",
			e.Operation, e.Name, advice)
	}
}

// record writes the examples, one file that a human can read.
func record(t *testing.T, examples []api.Example) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(examples))
	require.NoError(t, os.WriteFile(file, text.Bytes(), 0o644))
}

func names(examples []api.Example) (all []string) {
	for _, e := range examples {
		all = append(all, e.Operation+" "+e.Name)
	}

	return all
}

var (
	apiKey        = regexp.MustCompile(`lnt_(sandbox|production)_[0-9A-Za-z]{45}([0-9A-Za-z]{4})`)
	webhookSecret = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{32,}`)
)

// harmless replaces secrets, which are those of a stack that is gone, by such as
// nobody can take for real ones.
func harmless(t *testing.T, e api.Example) api.Example {
	t.Helper()
	e.Answer = apiKey.ReplaceAll(e.Answer, []byte("lnt_${1}_"+"NotARealKey"+strings.Repeat("0", 34)+"${2}"))
	// In base64 it says "this is not a real secret".
	e.Answer = webhookSecret.ReplaceAll(e.Answer, []byte("whsec_dGhpcyBpcyBub3QgYSByZWFsIHNlY3JldA=="))

	return e
}
