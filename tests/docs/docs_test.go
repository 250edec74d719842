// Package docs_test checks that the documentation is complete: every setting,
// every alert, and no link into nothing.
package docs_test

import (
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

// settings lists the dotted paths of all settings; production's are sandbox's.
func settings(of reflect.Type, prefix string) []string {
	var paths []string
	for field := range of.Fields() {
		path := prefix + field.Tag.Get("koanf")
		switch {
		case path == "production":
		case field.Type.Kind() == reflect.Struct:
			paths = append(paths, settings(field.Type, path+".")...)
		default:
			paths = append(paths, path)
		}
	}

	return paths
}

func TestConfigurationListsEverySetting(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllStringSubmatch(read(t, "docs/configuration.md"), -1) {
		documented = append(documented, row[1])
	}
	require.ElementsMatch(t, settings(reflect.TypeFor[config.Config](), ""), documented)
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
