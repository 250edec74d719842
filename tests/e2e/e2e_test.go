package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/conformance"
	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/stack"
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
	removeProgram()
	os.Exit(code)
}

// client talks to the API as a workspace of its own.
type client struct {
	*stack.Stack
	workspaceID string
	key         string
	http        *http.Client
}

// newClient makes a workspace on the shared stack, which the first test
// starts.
func newClient(t *testing.T) *client {
	t.Helper()
	if testing.Short() {
		t.Skip("e2e: needs Postgres, Temporal and a Lightning network, which -short leaves out")
	}
	shared.once.Do(func() { shared.stack, shared.err = stack.Open(context.Background()) })
	require.NoError(t, shared.err)
	workspaceID, key, err := shared.stack.NewKey(t.Context())
	require.NoError(t, err)

	// Every exchange is held against api/openapi.yaml.
	conforming := conformance.Client(t)
	conforming.Timeout = 70 * time.Second

	return &client{Stack: shared.stack, workspaceID: workspaceID, key: key, http: conforming}
}

type object = map[string]any

// call makes one request and decodes the answer.
func (c *client) call(t *testing.T, method, path, body string, headers ...string) (int, object, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, c.APIURL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var answer object
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))

	return response.StatusCode, answer, response.Header
}

func (c *client) charge(t *testing.T, sats int, extra string) object {
	t.Helper()
	status, charge, _ := c.call(t, "POST", "/v1/charges", fmt.Sprintf(`{"amount_sats":%d%s}`, sats, extra))
	require.Equal(t, http.StatusCreated, status, charge)

	return charge
}

func (c *client) await(t *testing.T, id string) object {
	t.Helper()
	status, charge, _ := c.call(t, "GET", "/v1/charges/"+id+"?wait=30", "")
	require.Equal(t, http.StatusOK, status)

	return charge
}

func (c *client) pay(t *testing.T, charge object, amount payments.Msat) {
	t.Helper()
	_, err := c.Net.Pay(t.Context(), text(charge, "bolt11"), amount)
	require.NoError(t, err)
}

func text(o object, field string) string {
	value, _ := o[field].(string)

	return value
}

// requireBooks checks that the workspace has exactly these msat, by one
// transfer for each of so many paid charges.
func (c *client) requireBooks(t *testing.T, msat int64, transfers int) {
	t.Helper()
	_, balance, _ := c.call(t, "GET", "/v1/balance", "")
	require.EqualValues(t, msat, balance["available_msat"])
	require.EqualValues(t, 0, balance["locked_msat"])
	_, list, _ := c.call(t, "GET", "/v1/ledger/transfers?limit=100", "")
	require.Len(t, list["data"], transfers)
	require.NoError(t, ledger.Verify(t.Context(), c.Store.Pool, c.workspaceID))
}

// requireClosed waits until the charge's workflow has ended and returns how
// many state transitions it took.
func (c *client) requireClosed(t *testing.T, id string) int64 {
	t.Helper()

	return c.requireEnded(t, "charge/"+id)
}

// requireEnded is requireClosed of any workflow.
func (c *client) requireEnded(t *testing.T, workflowID string) int64 {
	t.Helper()
	var transitions int64
	require.Eventually(t, func() bool {
		run, err := c.Temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
		if err != nil {
			return false
		}
		info := run.GetWorkflowExecutionInfo()
		transitions = info.GetStateTransitionCount()

		return info.GetCloseTime() != nil
	}, 20*time.Second, 50*time.Millisecond)

	return transitions
}
