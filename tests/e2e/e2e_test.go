package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/stack"
)

var shared struct {
	once  sync.Once
	stack *stack.Stack
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stack != nil {
		shared.stack.Close()
	}
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

	return &client{Stack: shared.stack, workspaceID: workspaceID, key: key, http: &http.Client{Timeout: 70 * time.Second}}
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

func TestPaidCharge(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	charge := c.charge(t, 1000, `,"description":"one call","metadata":{"a":"b"},"external_id":"x-1"`)
	require.Equal(t, "pending", charge["status"])
	_, err := c.Net.Pay(t.Context(), charge["bolt11"].(string), 0)
	require.NoError(t, err)
	paid := c.await(t, charge["id"].(string))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 1_000_000, paid["amount_paid_msat"])

	_, balance, _ := c.call(t, "GET", "/v1/balance", "")
	require.EqualValues(t, 1_000_000, balance["available_msat"])
	_, transfers, _ := c.call(t, "GET", "/v1/ledger/transfers", "")
	require.Len(t, transfers["data"], 1)

	require.Eventually(t, func() bool {
		run, err := c.Temporal.DescribeWorkflowExecution(t.Context(), "charge/"+charge["id"].(string), "")
		require.NoError(t, err)
		info := run.GetWorkflowExecutionInfo()
		if info.GetCloseTime() == nil {
			return false
		}
		t.Logf("a paid charge without endpoints: %d state transitions, %d events", info.GetStateTransitionCount(), info.GetHistoryLength())
		require.LessOrEqual(t, info.GetStateTransitionCount(), int64(6))

		return true
	}, 10*time.Second, 50*time.Millisecond)
}
