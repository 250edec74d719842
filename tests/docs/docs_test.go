// Package docs_test checks that the documentation is complete: every alert,
// every folder, and no link into nothing.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)

	return string(text)
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
	// Whoever adds a name adds it to the list that begins at 0 too.
	require.ElementsMatch(t, alerts(t), activities.AlertNames())
	for _, name := range alerts(t) {
		require.Contains(t, index, "("+name+".md)")
		require.Contains(t, read(t, "docs/runbooks/"+name+".md"), "`"+name+"`")
	}
}

// words are the texts of a package that end up before an operator: the last
// arguments of calls, what is assigned to or built as a field of notes, and the
// first results of functions, each by name. They are cut at verbs and colons.
type words struct {
	calls, notes, functions []string
	constants               map[string]ast.Expr
	found                   []string
}

func (w *words) in(t *testing.T, paths ...string) []string {
	t.Helper()
	var files []*ast.File
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	w.constants = map[string]ast.Expr{}
	for _, file := range files {
		ast.Inspect(file, w.constant)
	}
	for _, file := range files {
		ast.Inspect(file, w.visit)
	}
	require.NotEmpty(t, w.found)

	return w.found
}

func (w *words) constant(node ast.Node) bool {
	if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
		for i, name := range spec.Names {
			w.constants[name.Name] = spec.Values[i]
		}
	}

	return true
}

func (w *words) visit(node ast.Node) bool {
	switch node := node.(type) {
	case *ast.CallExpr:
		if slices.Contains(w.calls, nameOf(node.Fun)) {
			w.take(node.Args[len(node.Args)-1])
		}
	case *ast.KeyValueExpr:
		if slices.Contains(w.notes, nameOf(node.Key)) {
			w.take(node.Value)
		}
	case *ast.AssignStmt:
		for i, to := range node.Lhs {
			if len(node.Lhs) == len(node.Rhs) && slices.Contains(w.notes, nameOf(to)) {
				w.take(node.Rhs[i])
			}
		}
	case *ast.FuncDecl:
		if slices.Contains(w.functions, node.Name.Name) {
			ast.Inspect(node, func(inner ast.Node) bool {
				if returned, ok := inner.(*ast.ReturnStmt); ok {
					w.take(returned.Results[0])
				}

				return true
			})
		}
	}

	return true
}

func nameOf(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.SelectorExpr:
		return expr.Sel.Name
	case *ast.Ident:
		return expr.Name
	}

	return ""
}

var cut = regexp.MustCompile(`%[a-z]|: `)

// take keeps the text of an expression, and of the constants in it.
func (w *words) take(expr ast.Expr) {
	ast.Inspect(expr, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.Ident:
			if value := w.constants[node.Name]; value != nil {
				w.take(value)
			}
		case *ast.BasicLit:
			text, err := strconv.Unquote(node.Value)
			if err != nil || node.Kind != token.STRING {
				return true
			}
			for _, part := range cut.Split(text, -1) {
				if part = strings.Trim(part, " ,:;"); part != "" {
					w.found = append(w.found, part)
				}
			}
		}

		return true
	})
}

// sources are the files of a folder that are no tests.
func sources(t *testing.T, folder string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	require.NoError(t, err)

	return slices.DeleteFunc(all, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
}

// column is the first column of a page's table, by the head of that.
func column(t *testing.T, page, head string) string {
	t.Helper()
	_, table, ok := strings.Cut(read(t, page), "| "+head)
	require.True(t, ok, page)
	table, _, _ = strings.Cut(table, "\n\n")
	var cells []string
	for row := range strings.Lines(head + table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		cells = append(cells, first)
	}

	return strings.Join(cells, "\n")
}

// What a withdrawal's run says that it waits for is explained, word for word.
func TestWhatAWithdrawalSaysHasARunbook(t *testing.T) {
	t.Parallel()
	said := column(t, "docs/runbooks/a_payment_is_stuck.md", "it says")
	activities := words{
		calls: []string{"later"}, notes: []string{"note", "Note"}, functions: []string{"withoutHTLCs"},
	}
	isOfDeliveries := func(path string) bool { return strings.HasPrefix(filepath.Base(path), "delivery") }
	for _, text := range activities.in(t, slices.DeleteFunc(sources(t, "activities"), isOfDeliveries)...) {
		require.Contains(t, said, text)
	}
	run := words{calls: []string{"say", "act"}}
	for _, text := range run.in(t, filepath.Join(root, "workflows/withdrawal.go"), filepath.Join(root, "workflows/row.go")) {
		require.Contains(t, said, text)
	}
}

func TestEveryReasonOfAReviewHasARunbook(t *testing.T) {
	t.Parallel()
	reasons := column(t, "docs/runbooks/withdrawal_under_review.md", "reason")
	reviews := words{calls: []string{"review"}, functions: []string{"impossible"}}
	for _, text := range reviews.in(t, sources(t, "activities")...) {
		require.Contains(t, reasons, text)
	}
}

// README's table has every folder and every file at the top that holds code.
func TestEveryFolderIsDescribed(t *testing.T) {
	t.Parallel()
	folders := column(t, "README.md", "folder")
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			top, _, nested := strings.Cut(strings.TrimPrefix(path, root+"/"), "/")
			if nested {
				top += "/"
			}
			require.Contains(t, folders, "`"+top+"`")
		}

		return nil
	}))
}

// docs/sandbox.md bakes the payer's macaroon for what is asked of that node.
func TestPayersMacaroonIsDocumented(t *testing.T) {
	t.Parallel()
	_, command, found := strings.Cut(read(t, "docs/sandbox.md"), "    lncli bakemacaroon --save_to payer.macaroon ")
	require.True(t, found)
	command, _, _ = strings.Cut(command, "\n\n")
	var baked []string
	for _, uri := range regexp.MustCompile(`uri:(\S+)`).FindAllStringSubmatch(command, -1) {
		baked = append(baked, uri[1])
	}
	require.ElementsMatch(t, lightning.PayerPermissions(), baked)
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
