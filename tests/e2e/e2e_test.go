// Package e2e_test runs tests/suite on a stack in the test's own process, and
// the tests that reach into that: into the worker, whose calls of the node they
// hook and which they stop and kill, into Temporal and into the nodes.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/stack"
	"github.com/lntpay/lntpay/tests/suite"
)

var shared struct {
	once  sync.Once
	stack *stack.Stack
	err   error
}

// parallel is how many tests run at a time: they wait more than they compute,
// some for minutes.
const parallel = "4"

func TestMain(m *testing.M) {
	stack.BeVictim()
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	code := m.Run()
	if shared.stack != nil {
		if err := recordRelease(shared.stack); err != nil {
			fmt.Fprintln(os.Stderr, "record the release:", err)
			code = 1
		}
		shared.stack.Close()
	}
	suite.RemovePrograms()
	os.Exit(code)
}

// open is the shared stack, which the first test starts.
func open(t *testing.T) *stack.Stack {
	t.Helper()
	if testing.Short() {
		t.Skip("e2e: needs Postgres, Temporal and a Lightning network, which -short leaves out")
	}
	shared.once.Do(func() { shared.stack, shared.err = stack.Open(context.Background()) })
	require.NoError(t, shared.err)

	return shared.stack
}

// outside is the stack as one can have it that runs anywhere.
func outside(s *stack.Stack) *suite.Stack {
	return &suite.Stack{
		APIURL: s.APIURL, Net: s.Net, Store: s.Store, Temporal: s.Temporal, Environment: s.Config.Sandbox,
	}
}

// client talks to the API as a workspace of its own, and reaches into the
// stack.
type client struct {
	*suite.Client
	*stack.Stack
}

func newClient(t *testing.T) *client {
	t.Helper()
	s := open(t)

	return &client{Client: outside(s).NewClient(t), Stack: s}
}

// The cases that measure have the machine to themselves: the others run in
// parallel, after all tests that do not.
func TestSuiteAlone(t *testing.T) {
	suite.RunAlone(t, outside(open(t)))
	suite.RunOwnNetworkAlone(t, outside(open(t)))
}

func TestSuite(t *testing.T) {
	t.Parallel()
	suite.RunTogether(t, outside(open(t)))
	suite.RunOwnNetwork(t, outside(open(t)))
}
