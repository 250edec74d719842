package receivers_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/webhooks"
)

func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/webhooks.md"))
	require.NoError(t, err)

	return string(text)
}

// block is the guide's code block behind a fence that says info, which begins so.
func block(t *testing.T, info, beginning string) string {
	t.Helper()
	_, code, ok := strings.Cut(guide(t), "\n```"+info+"\n"+beginning)
	require.True(t, ok, "a block of %s that begins with %q", info, beginning)
	code, _, ok = strings.Cut(code, "\n```\n")
	require.True(t, ok)

	return beginning + code
}

func TestGuideQuotesTheReceivers(t *testing.T) {
	t.Parallel()
	for file, language := range map[string]string{
		"go/main.go": "go", "node/receiver.js": "js", "python/receiver.py": "python", "shell/verify.sh": "sh",
	} {
		code, err := os.ReadFile(example(file))
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(code), "\n")
		require.Equal(t, string(code), block(t, language+" quote=docs/receivers/"+file, first)+"\n", "docs/webhooks.md quotes docs/receivers/%s as it is", file)
	}
	files, err := filepath.Glob(example("*/*"))
	require.NoError(t, err)
	require.Len(t, files, 4, "every example is quoted")
}

// inGo makes a program of the guide's Go function, started as the one-liners
// are.
func inGo(t *testing.T) string {
	t.Helper()
	code := "package main\n\nimport (\"crypto/hmac\"; \"crypto/sha256\"; \"encoding/hex\"; \"os\")\n\n" + block(t, "go file=genuine.go", "func genuine(") + `
func main() {
	body, err := os.ReadFile("body.json")
	if err != nil || !genuine(os.Getenv("SECRET"), os.Getenv("SIGNATURE"), body) {
		os.Exit(1)
	}
}
`
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(folder+"/main.go", []byte(code), 0o600))
	output, err := exec.CommandContext(t.Context(), need(t, "go"), "build", "-o", folder+"/genuine", folder+"/main.go").CombinedOutput()
	require.NoError(t, err, "%s", output)

	return folder + "/genuine && echo genuine"
}

// TestOneLines runs the guide's checks of x-lntpay-signature on what the
// sender signs.
func TestOneLines(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "python3", "openssl"} {
		need(t, program)
	}
	lines := map[string]string{
		"node":    block(t, "sh not-run", "node -e"),
		"python":  block(t, "sh not-run", "python3 -c"),
		"openssl": block(t, "sh not-run", `test "$(openssl`),
		"go":      inGo(t),
	}
	for name, script := range lines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotContains(t, script, "\n", "one line")
			tryOneLine(t, script)
		})
	}
}

func tryOneLine(t *testing.T, script string) {
	t.Helper()
	older, newer := webhooks.NewSecret(), webhooks.NewSecret()
	body := newEvents(t, 1)[0].body
	signature := func(secrets webhooks.Secrets) string {
		header, err := webhooks.Headers(secrets, "evt_1", time.Now(), body)
		require.NoError(t, err)

		return header.Get("x-lntpay-signature")
	}
	right := signature(webhooks.Secrets{Current: older})
	tests := map[string]struct {
		secret, signature string
		body              []byte
		genuine           bool
	}{
		"genuine":                          {older, right, body, true},
		"the old secret in the overlap":    {older, signature(webhooks.Secrets{Current: newer, Previous: older}), body, true},
		"the new secret after the overlap": {newer, signature(webhooks.Secrets{Current: newer}), body, true},
		"the new secret in the overlap":    {newer, signature(webhooks.Secrets{Current: newer, Previous: older}), body, false},
		"another secret":                   {newer, right, body, false},
		"the secret without its prefix":    {strings.TrimPrefix(older, "whsec_"), right, body, false},
		"no signature":                     {older, "", body, false},
		"half a signature":                 {older, right[:32], body, false},
		"another signature":                {older, strings.Repeat("0", 64), body, false},
		"a body read and written again":    {older, right, reserialised(t, body, unescaped), false},
		"a body with a line end":           {older, right, append([]byte(string(body)), '\n'), false},
	}
	for name, tt := range tests {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Dir = t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, "body.json"), tt.body, 0o600))
		cmd.Env = append(os.Environ(), "SECRET="+tt.secret, "SIGNATURE="+tt.signature)
		output, err := cmd.Output()
		require.Equal(t, tt.genuine, err == nil, name)
		require.Equal(t, tt.genuine, string(output) == "genuine\n", "%s: %s", name, output)
	}
}

// TestGuideVector: the example to check one's own code by is what is signed.
func TestGuideVector(t *testing.T) {
	t.Parallel()
	given := func(name string) string {
		found := regexp.MustCompile(`(?m)^    ` + name + ` +(.*)$`).FindStringSubmatch(guide(t))
		require.NotNil(t, found, name)

		return found[1]
	}
	var seconds int64
	_, err := fmt.Sscan(given("webhook-timestamp"), &seconds)
	require.NoError(t, err)
	header, err := webhooks.Headers(webhooks.Secrets{Current: given("secret")}, given("webhook-id"), time.Unix(seconds, 0),
		[]byte(given("raw body")))
	require.NoError(t, err)
	for name := range header {
		require.Equal(t, header.Get(name), given(strings.ToLower(name)))
	}
}

func TestGuideHasTheSchedule(t *testing.T) {
	t.Parallel()
	middle := func() float64 { return 0.5 }
	want := []string{"| 1 | at once |"}
	for made := 1; ; made++ {
		delay, more := webhooks.NextDelay(made, middle, 0)
		if !more {
			break
		}
		amount, unit := delay/time.Second, "s"
		switch {
		case delay >= time.Hour:
			amount, unit = delay/time.Hour, "h"
		case delay >= time.Minute:
			amount, unit = delay/time.Minute, "min"
		}
		want = append(want, fmt.Sprintf("| %d | %d %s |", made+1, amount, unit))
	}
	require.Equal(t, want, regexp.MustCompile(`(?m)^\| [0-9]+ \| .* \|$`).FindAllString(guide(t), -1))
}

func TestGuideHasEveryEventType(t *testing.T) {
	t.Parallel()
	var want, documented []string
	for _, eventType := range payments.EventTypes() {
		want = append(want, string(eventType))
	}
	for _, found := range regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z_]+)` \\|").FindAllStringSubmatch(guide(t), -1) {
		documented = append(documented, found[1])
	}
	require.Equal(t, want, documented)
}
