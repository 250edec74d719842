package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

// Every code of payments/problem.go has a row with its status, and something
// to do.
func TestErrorsListsEveryCode(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "payments/problem.go"), nil, 0)
	require.NoError(t, err)
	var want []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok, spec.Names[0].Name)
		code, err := strconv.Unquote(value.Value)
		require.NoError(t, err)
		want = append(want, fmt.Sprint(code, " ", payments.NewProblem(payments.Code(code), "").Status))

		return true
	})
	var documented []string
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([0-9]+) \\| [^|]+ \\| [^|]+ \\|$")
	for _, found := range row.FindAllStringSubmatch(read(t, "docs/errors.md"), -1) {
		documented = append(documented, found[1]+" "+found[2])
	}
	require.ElementsMatch(t, want, documented, "docs/errors.md has a row for each code of payments/problem.go")
}
