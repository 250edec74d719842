// Package sdk_test runs the SDKs' own tests, those that need no stack. The ones
// that do are run by tests/e2e.
package sdk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

const javaScript = "../../sdk/js/test/"

// needStack are the files that tests/suite/sdk_javascript.go runs.
var needStack = []string{javaScript + "lossy.test.js", javaScript + "stack.test.js"}

// reads are the files that node reads. Go, which keeps results of tests, learns
// of a change to them only if it reads them itself.
var reads = []string{
	"../../sdk/js/*.*", javaScript + "*", "../../sdk/testdata/*", "../../README.md", "../../api/openapi.yaml", "../../docs/l402.md",
	"../../docs/sandbox.md", "../../docs/webhooks.md",
}

func TestJavaScript(t *testing.T) {
	t.Parallel()
	for _, pattern := range reads {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			_, err := os.ReadFile(file)
			require.NoError(t, err)
		}
	}
	node, err := exec.LookPath("node")
	require.NoError(t, err, "the JavaScript SDK is tested with node 18 or newer, which is not installed (Debian: apt-get install nodejs)")
	files, err := filepath.Glob(javaScript + "*.test.js")
	require.NoError(t, err)
	require.Subset(t, files, needStack)
	files = slices.DeleteFunc(files, func(file string) bool { return slices.Contains(needStack, file) })
	output, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, files...)...).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Regexp(t, `(?m)^. pass [1-9]`, string(output))
	require.Regexp(t, `(?m)^. skipped 0$`, string(output))
}
