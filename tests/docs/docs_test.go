// Package docs_test checks that the documentation is complete: every setting,
// every alert, and no link into nothing.
package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)

	return string(text)
}

// settings maps the dotted paths of all settings to their defaults as the page
// writes them; production's are sandbox's.
func settings(of reflect.Value, prefix string, into map[string]string) {
	for field, value := range of.Fields() {
		path := prefix + field.Tag.Get("koanf")
		switch {
		case path == "production":
		case value.Kind() == reflect.Struct:
			settings(value, path+".", into)
		case value.IsZero() && value.Kind() != reflect.Bool:
			into[path] = "none"
		default:
			into[path] = fmt.Sprintf("`%v`", value.Interface())
		}
	}
}

func TestConfigurationListsEverySetting(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	settings(reflect.ValueOf(config.Defaults()), "", want)
	want["sandbox.migrate_database_url"] = "`database_url`"
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]*) \\|")
	for _, found := range row.FindAllStringSubmatch(read(t, "docs/configuration.md"), -1) {
		documented[found[1]] = found[2]
	}
	require.Equal(t, want, documented)
}

// alerts are the names that activities/alert.go gives to alerts.
func alerts(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "activities/alert.go"), nil, 0)
	require.NoError(t, err)
	var names []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Alert") {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok, spec.Names[0].Name)
		name, err := strconv.Unquote(value.Value)
		require.NoError(t, err)
		names = append(names, name)

		return true
	})
	require.NotEmpty(t, names)

	return names
}

func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	index := read(t, "docs/runbooks/README.md")
	for _, name := range alerts(t) {
		require.Contains(t, index, "("+name+".md)")
		require.Contains(t, read(t, "docs/runbooks/"+name+".md"), "`"+name+"`")
	}
}

var link = regexp.MustCompile(`\]\(([^):#]+)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." && path != root {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			require.FileExists(t, filepath.Join(filepath.Dir(path), found[1]), "link in %s", path)
		}

		return nil
	}))
}
