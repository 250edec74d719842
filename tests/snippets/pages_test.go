package snippets_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/snippets"
)

// pages are those whose every command is run.
var pages = []snippets.Page{
	{Path: "README.md", Ports: []string{"9099"}},
	{Path: "docs/cli.md"},
	{Path: "docs/concepts.md"},
	{Path: "docs/errors.md"},
	{Path: "docs/gateway.md", Ports: []string{"9001", "9085", "9086"}},
	{Path: "docs/idempotency.md"},
	{Path: "docs/l402.md", Ports: []string{"3001"}},
	{Path: "docs/quickstart.md", Ports: []string{"3001", "3002", "3003", "3004"}},
	{Path: "docs/sandbox.md"},
	{Path: "docs/webhooks.md", Ports: []string{"9099", "9098"}},
}

var shared struct {
	once  sync.Once
	stack *snippets.Stack
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stack != nil {
		if err := shared.stack.Close(); err != nil && code == 0 {
			panic(err)
		}
	}
	os.Exit(code)
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, page := range pages {
		t.Run(page.Path, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("runs a development stack")
			}
			shared.once.Do(func() { shared.stack, shared.err = snippets.Open(context.Background(), "../..") })
			require.NoError(t, shared.err)
			require.NoError(t, shared.stack.Run(page))
		})
	}
}
