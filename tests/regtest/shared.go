package regtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared is the network of a test binary.
var shared struct {
	once sync.Once
	net  *Net
	err  error
}

// Shared is the network that all tests of a package use; the first to ask
// starts it. It skips the test in -short mode. The package's TestMain must
// call Main, which ends it.
func Shared(t testing.TB) *Net {
	t.Helper()
	if testing.Short() {
		t.Skip("regtest: needs a Lightning network, which -short leaves out")
	}
	shared.once.Do(func() { shared.net, shared.err = Open(context.Background(), Options{}) })
	if shared.err != nil {
		t.Fatalf("regtest: %v", shared.err)
	}

	return shared.net
}

// Main runs the tests, ends the shared network and exits.
func Main(m *testing.M) {
	code := m.Run()
	if shared.net != nil {
		if err := shared.net.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "regtest:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
