package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
)

const root = "../.."

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)

	return string(text)
}

// The page and the example are what the code says.
func TestGenerated(t *testing.T) {
	files, err := generate(root)
	require.NoError(t, err)
	for file, want := range files {
		require.Equal(t, want, read(t, file), "run `make generate`: %s", file)
	}
}

// Each setting has exactly one row, with its variable.
func TestPageHasEverySetting(t *testing.T) {
	page := read(t, pageFile)
	for _, setting := range config.Settings() {
		if !strings.HasPrefix(setting.Path, "production.") {
			require.Equal(t, 1, strings.Count(page, "\n| `"+setting.Path+"`<br>`"+setting.Variable+"` |"), setting.Path)
		}
	}
}

func TestPageWithoutAPlaceForASetting(t *testing.T) {
	texts, err := readComments(filepath.Join(root, sourceDir))
	require.NoError(t, err)
	_, err = fillPage("<!-- settings: sandbox -->\n<!-- end of settings -->\n", texts)
	require.ErrorContains(t, err, "no marker takes log.level")
	delete(texts, "Log.Level")
	_, err = fillPage("<!-- settings: * -->\n<!-- end of settings -->\n", texts)
	require.ErrorContains(t, err, "Log.Level has no comment")
}

func TestMeaning(t *testing.T) {
	require.Equal(t, "debug or info", meaning("Level", "Level is debug\nor info.\n"))
	require.Equal(t, "bounds the pool. Two or more", meaning("MaxConns", "MaxConns bounds the pool. Two or more."))
}

// load loads the example after a change.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lntpay.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	loaded, err := config.Load(path)
	require.NoError(t, err)

	return loaded
}

// The example starts with what it gives; its other lines are the defaults, so
// that taking away their # changes nothing.
func TestExampleLoads(t *testing.T) {
	example := read(t, exampleFile)
	asItIs := load(t, example)
	require.Len(t, asItIs.Environments(), 2)
	require.Equal(t, "mainnet", asItIs.Production.Node.Network)
	for _, env := range asItIs.Environments() {
		require.NoError(t, env.CheckWorker("one"))
	}
	all := regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`).ReplaceAllString(example, "$1$2")
	require.NotEqual(t, example, all)
	normal := load(t, all)
	for _, env := range []*config.Environment{&normal.Sandbox, &normal.Production} {
		require.Empty(t, env.OldPreimageKeyFiles)
		env.OldPreimageKeyFiles = nil
	}
	require.Empty(t, normal.API.TrustedProxies)
	normal.API.TrustedProxies = nil
	require.Equal(t, asItIs, normal)
	settings := regexp.MustCompile(`(?m)^ *([a-z_]+): \S`).FindAllString(all, -1)
	require.Len(t, settings, len(config.Settings()))
	require.False(t, reflect.DeepEqual(config.Defaults(), *asItIs))
}
