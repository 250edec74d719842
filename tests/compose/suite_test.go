package compose_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/tests/compose"
	"github.com/lntpay/lntpay/tests/regtest"
	"github.com/lntpay/lntpay/tests/suite"
	"github.com/lntpay/lntpay/workflows"
)

// parallel is how many tests of the suite run at a time, as in tests/e2e.
const parallel = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	code := m.Run()
	suite.RemovePrograms()
	if deployed.stack != nil {
		deployed.stack.Temporal.Close()
		deployed.stack.Store.Close()
		_ = deployed.stack.Net.Close()
		_ = os.RemoveAll(deployed.dir)
	}
	if err := compose.CloseShared(code != 0); err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// deployed is the project as the suite sees it, and the folder of the worker's
// files.
var deployed struct {
	once  sync.Once
	stack *suite.Stack
	dir   string
}

// open is the shared project and what the suite needs of it. Postgres, Temporal
// and the nodes have their addresses until they are started anew.
func open(t *testing.T) (*compose.Project, *suite.Stack) {
	t.Helper()
	p := compose.Shared(t)
	deployed.once.Do(func() { deployed.stack = dial(t, p) })
	require.NotNil(t, deployed.stack, "the first test could not reach the project")

	return p, deployed.stack
}

func dial(t *testing.T, p *compose.Project) *suite.Stack {
	t.Helper()
	ctx := t.Context()
	dsn, err := p.AppDatabaseURL(ctx)
	require.NoError(t, err)
	s := &suite.Stack{
		APIURL: p.APIURL, Environment: environment(t, p),
		KeysLinger: 31 * time.Second,
		Relay:      func(t testing.TB, url string) string { return relay(t, p, url) },
	}
	s.Store, err = store.Open(ctx, payments.Sandbox, dsn, 10)
	require.NoError(t, err)
	address, err := p.TemporalAddress(ctx)
	require.NoError(t, err)
	s.Temporal, err = workflows.Dial(address, compose.TemporalNamespace, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s.Net, err = regtest.Attach(ctx, remote(t, p, compose.LndMerchant), remote(t, p, compose.LndPayer))
	require.NoError(t, err)

	return s
}

func remote(t *testing.T, p *compose.Project, service string) regtest.Remote {
	t.Helper()
	node, err := p.Node(t.Context(), service)
	require.NoError(t, err)

	return regtest.Remote{
		ServerName: node.Name,
		Config: lightning.Config{
			Name: node.Name, Network: "regtest", Address: node.Address, TLSCertFile: node.TLSCertFile, MacaroonFile: node.MacaroonFile,
		},
	}
}

// environment is what the worker has been told, with copies of its files.
func environment(t *testing.T, p *compose.Project) config.Environment {
	t.Helper()
	dir, err := os.MkdirTemp("", "lntpay-compose-secrets-")
	require.NoError(t, err)
	deployed.dir = dir
	env := config.Defaults().Sandbox
	env.Node.Name = "merchant"
	for name, path := range map[string]*string{
		"preimage.key": &env.PreimageKeyFile, "secrets.key": &env.SecretsKeyFile,
		"receive.macaroon": &env.Node.MacaroonFile, "spend.macaroon": &env.Node.SpendMacaroonFile, "payer.macaroon": &env.Payer.MacaroonFile,
	} {
		content, err := p.ReadFile(t.Context(), compose.Worker1, "/secrets/"+name)
		require.NoError(t, err)
		require.NotEmpty(t, content, name)
		*path = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(*path, content, 0o600))
	}

	return env
}

// The tests of tests/suite, which tests/e2e runs in its process, pass on the
// containers.
func TestSuiteAlone(t *testing.T) {
	_, s := open(t)
	suite.RunAlone(t, s)
}

func TestSuite(t *testing.T) {
	_, s := open(t)
	suite.RunTogether(t, s)
}
