package suite

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/api/conformance"
	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/load"
)

// Client talks to the API as a workspace of its own.
type Client struct {
	*Stack

	WorkspaceID string
	Key         string
	http        *http.Client
}

// NewClient makes a workspace.
func (s *Stack) NewClient(t *testing.T) *Client {
	t.Helper()
	workspaceID, key, err := load.NewKey(t.Context(), s.Store)
	require.NoError(t, err)
	// Every exchange is held against api/openapi.yaml.
	conforming := conformance.Client(t)
	conforming.Timeout = 70 * time.Second

	return &Client{Stack: s, WorkspaceID: workspaceID, Key: key, http: conforming}
}

// Object is one of the API's.
type Object = map[string]any

// patience is for how long a client repeats what a server that is too busy has
// not answered, and patiencePause what he waits in between.
const (
	patience      = 30 * time.Second
	patiencePause = 200 * time.Millisecond
)

// Call makes a request and decodes the answer. As a client must, it repeats a
// POST that a busy server answers with 503, under the same Idempotency-Key; it
// brings one if there is none.
func (c *Client) Call(t *testing.T, method, path, body string, headers ...string) (int, Object, http.Header) {
	t.Helper()
	if method == http.MethodPost && !slices.Contains(headers, "Idempotency-Key") {
		headers = append(slices.Clone(headers), "Idempotency-Key", rand.Text())
	}
	for until := time.Now().Add(patience); ; time.Sleep(patiencePause) {
		status, answer, header := c.send(t, method, path, body, headers)
		if method != http.MethodPost || status != http.StatusServiceUnavailable || time.Now().After(until) {
			return status, answer, header
		}
	}
}

func (c *Client) send(t *testing.T, method, path, body string, headers []string) (int, Object, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, c.APIURL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+c.Key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var answer Object
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))

	return response.StatusCode, answer, response.Header
}

// Charge makes a charge; extra is JSON after its amount, with a comma ahead.
func (c *Client) Charge(t *testing.T, sats int, extra string) Object {
	t.Helper()
	status, charge, _ := c.Call(t, "POST", "/v1/charges", fmt.Sprintf(`{"amount_sats":%d%s}`, sats, extra))
	require.Equal(t, http.StatusCreated, status, charge)

	return charge
}

// Await reads a charge once it is paid or closed, or 30 seconds have passed.
func (c *Client) Await(t *testing.T, id string) Object {
	t.Helper()
	status, charge, _ := c.Call(t, "GET", "/v1/charges/"+id+"?wait=30", "")
	require.Equal(t, http.StatusOK, status)

	return charge
}

// Pay pays a charge from the payer's node and waits until that is done: what the
// invoice asks for, or another amount that is not 0.
func (c *Client) Pay(t *testing.T, charge Object, amount payments.Msat) {
	t.Helper()
	_, err := c.Net.Pay(t.Context(), Text(charge, "bolt11"), amount)
	require.NoError(t, err)
}

// Text is a field of an object, empty if that is no text.
func Text(o Object, field string) string {
	value, _ := o[field].(string)

	return value
}

// RequireBooks checks that the workspace has exactly these msat, by one
// transfer for each of so many paid charges.
func (c *Client) RequireBooks(t *testing.T, msat int64, transfers int) {
	t.Helper()
	_, balance, _ := c.Call(t, "GET", "/v1/balance", "")
	require.EqualValues(t, msat, balance["available_msat"])
	require.EqualValues(t, 0, balance["locked_msat"])
	_, list, _ := c.Call(t, "GET", "/v1/ledger/transfers?limit=100", "")
	require.Len(t, list["data"], transfers)
	require.NoError(t, ledger.Verify(t.Context(), c.Store.Pool, c.WorkspaceID))
}

// RequireClosed waits until the charge's workflow has ended and returns how
// many state transitions it took.
func (c *Client) RequireClosed(t *testing.T, id string) int64 {
	t.Helper()

	return c.requireEnded(t, "charge/"+id)
}

// requireEnded is requireClosed of any workflow.
func (c *Client) requireEnded(t *testing.T, workflowID string) int64 {
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
