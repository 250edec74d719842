package compose_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	require.NoError(t, err)

	return string(text)
}

// What the file passes to LNTPay are settings that there are, in both
// environments: a variable that is none stops a process.
func TestSettingsOfTheFileExist(t *testing.T) {
	names := regexp.MustCompile(`(?m)^\s*- (LNTPAY_[A-Z0-9_]*(?:\$\{LNTPAY_ENV:-SANDBOX\}_[A-Z0-9_]+)?)(?:=.*)?$`)
	for _, environment := range []string{"SANDBOX", "PRODUCTION"} {
		file := strings.ReplaceAll(read(t, "docker-compose.yml"), "${LNTPAY_ENV:-SANDBOX}", environment)
		file = regexp.MustCompile(`\$\{LNTPAY_ENV:-SANDBOX\}`).ReplaceAllString(file, environment)
		found := names.FindAllStringSubmatch(file, -1)
		require.Greater(t, len(found), 20)
		for _, name := range found {
			if name[1] != config.EnvFile {
				t.Setenv(name[1], "1")
			}
		}
	}
	_, err := config.Load("")
	require.Error(t, err, "1 is no log level")
	require.NotContains(t, err.Error(), "unknown setting")
}

// The example of .env has every variable without which the file is refused, and
// names none that the file does not read.
func TestTheExampleOfEnvFitsTheFile(t *testing.T) {
	file, example := read(t, "docker-compose.yml"), read(t, "deploy/compose.env.example")
	for _, needed := range regexp.MustCompile(`\$\{([A-Z_]+):\?`).FindAllStringSubmatch(file, -1) {
		require.Regexp(t, `(?m)^`+needed[1]+`=`, example)
	}
	file += strings.ReplaceAll(file, "LNTPAY_${LNTPAY_ENV:-SANDBOX}_", "LNTPAY_SANDBOX_")
	for _, page := range []string{example, read(t, "deploy/compose/regtest.env")} {
		for _, set := range regexp.MustCompile(`(?m)^(?:# )?([A-Z][A-Z_]+)=`).FindAllStringSubmatch(page, -1) {
			if set[1] == "COMPOSE_PROFILES" {
				continue
			}
			require.Regexp(t, `\$\{`+set[1]+`\b|- `+set[1]+`\b`, file)
		}
	}
}

// The environment whose settings name no key of money is an api's.
func TestAnAPIIsToldNothingOfTheNode(t *testing.T) {
	file := read(t, "docker-compose.yml")
	_, api, found := strings.Cut(file, "x-api: &api\n")
	require.True(t, found)
	api, _, found = strings.Cut(api, "x-worker-environment:")
	require.True(t, found)
	for line := range strings.Lines(api) {
		if name, isSetting := strings.CutPrefix(strings.TrimSpace(line), "- LNTPAY_"); isSetting {
			require.NotRegexp(t, `NODE|MACAROON|PREIMAGE|PAYER|MIGRATE`, name)
		}
	}
}
