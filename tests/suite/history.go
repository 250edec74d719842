package suite

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/secret"
)

// envRecord makes TestHistories write what it sees into replayDir, for
// workflows.TestReplay.
const (
	envRecord = "LNTPAY_RECORD_HISTORIES"
	replayDir = "../../workflows/testdata/replay"
)

// testHistories leads charges and withdrawals through their lives on the real stack and reads
// the histories that they leave: none holds a secret. They are what
// workflows.TestReplay replays; record them anew by LNTPAY_RECORD_HISTORIES=1.
func testHistories(t *testing.T, s *Stack) {
	for name, live := range map[string]func(*Client, *testing.T) (workflowID string){
		"charge-paid":             (*Client).livePaid,
		"charge-expired":          (*Client).liveExpired,
		"charge-canceled":         (*Client).liveCanceled,
		"charge-paid-delivered":   (*Client).liveDelivered,
		"charge-paid-undelivered": (*Client).liveUndelivered,
		"delivery-retried":        (*Client).liveRetried,
		"node-watcher":            (*Client).liveWatcher,
		"sweeper":                 (*Client).liveSweeper,
		"reconcile":               (*Client).liveReconcile,
		"withdrawal-succeeded":    (*Client).liveWithdrawn,
		"withdrawal-failed":       (*Client).liveWithdrawalFailed,
		"withdrawal-held":         (*Client).liveWithdrawalHeld,
		"withdrawal-booked":       (*Client).liveBooked,
		"withdrawal-refused":      (*Client).liveWithdrawalRefused,
		"quote":                   (*Client).liveQuote,
		"sandbox-paid":            (*Client).liveSandboxPaid,
		"sandbox-released":        (*Client).liveSandboxReleased,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.NewClient(t)
			c.KeepHistory(t, name, live(c, t))
		})
	}
}

// KeepHistory checks that a run's history holds no secret, and records it under
// a name if that is asked for.
func (c *Client) KeepHistory(t *testing.T, name, workflowID string) {
	t.Helper()
	history := c.history(t, workflowID)
	c.holdsNoSecret(t, history)
	if os.Getenv(envRecord) != "" {
		record(t, name, history)
	}
}

func (c *Client) livePaid(t *testing.T) string {
	charge := c.Charge(t, 1000, `,"description":"replayed"`)
	c.Pay(t, charge, 0)
	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])

	return c.ended(t, "charge/"+Text(charge, "id"))
}

func (c *Client) liveExpired(t *testing.T) string {
	id := Text(c.Charge(t, 1000, `,"expires_in":60`), "id")
	c.ended(t, "charge/"+id)
	require.Equal(t, "expired", c.Await(t, id)["status"])

	return "charge/" + id
}

func (c *Client) liveCanceled(t *testing.T) string {
	id := Text(c.Charge(t, 1000, ""), "id")
	status, answer, _ := c.Call(t, "POST", "/v1/charges/"+id+"/cancel", "{}")
	require.Equal(t, http.StatusOK, status, answer)

	return c.ended(t, "charge/"+id)
}

func (c *Client) liveDelivered(t *testing.T) string {
	url, _ := c.Receive(t)
	c.Subscribe(t, url)

	return c.livePaid(t)
}

func (c *Client) liveUndelivered(t *testing.T) string {
	url, _ := c.Receive(t, http.StatusServiceUnavailable)
	c.Subscribe(t, url)

	return c.livePaid(t)
}

func (c *Client) liveRetried(t *testing.T) string {
	c.liveUndelivered(t)
	var id string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT id FROM delivery WHERE workspace_id = $1", c.WorkspaceID).Scan(&id))

	return c.ended(t, "delivery/"+id)
}

func (c *Client) liveWatcher(t *testing.T) string { return c.busy(t, "node-watcher/") }

func (c *Client) liveSweeper(t *testing.T) string { return c.busy(t, "sweeper/") }

func (c *Client) liveReconcile(t *testing.T) string {
	c.Reconcile(t)

	return c.busy(t, "reconcile/")
}

// liveWithdrawn has a healthy endpoint.
func (c *Client) liveWithdrawn(t *testing.T) string {
	c.Fund(t, 100)
	url, got := c.Receive(t)
	c.Subscribe(t, url)
	id := Text(c.Withdraw(t, c.Payable(t, 10_000), ""), "id")
	c.OverAs(t, id, 20*time.Second, "")
	Next(t, got)

	return c.ended(t, "withdrawal/"+id)
}

func (c *Client) liveWithdrawalFailed(t *testing.T) string {
	c.Fund(t, 100)
	id := Text(c.Withdraw(t, stranger(t, &chaincfg.RegressionNetParams, 10_000), ""), "id")
	c.OverAs(t, id, 20*time.Second, payments.FailureNoRoute)

	return c.ended(t, "withdrawal/"+id)
}

// liveWithdrawalHeld is longer in flight than a send is listened to.
func (c *Client) liveWithdrawalHeld(t *testing.T) string {
	c.Fund(t, 100)
	h := c.WithdrawHeld(t, 10_000)
	require.Eventually(t, func() bool {
		flight, _ := c.Withdrawal(t, h.ID)["in_flight"].(Object)

		return flight["checked_at"] != nil
	}, time.Minute, time.Second, "nobody follows")
	c.Settle(t, h.Preimage)
	c.OverAs(t, h.ID, 20*time.Second, "")

	return c.ended(t, "withdrawal/"+h.ID)
}

func (c *Client) liveBooked(t *testing.T) string {
	c.Fund(t, 100)
	id := Text(c.Withdraw(t, Text(c.NewClient(t).Charge(t, 10, ""), "bolt11"), ""), "id")
	c.OverAs(t, id, 20*time.Second, "")

	return c.ended(t, "withdrawal/"+id)
}

// liveWithdrawalRefused finds the run by its workspace: what is refused has no
// id that a client would see.
func (c *Client) liveWithdrawalRefused(t *testing.T) string {
	c.Refused(t, c.Payable(t, 10_000), "", http.StatusUnprocessableEntity, payments.CodeInsufficientBalance)
	var id string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT resource_id FROM claim WHERE workspace_id = $1", c.WorkspaceID).Scan(&id))

	return c.ended(t, "withdrawal/"+id)
}

// liveQuote finds the run by its invoice, which is all that it holds.
func (c *Client) liveQuote(t *testing.T) (workflowID string) {
	c.Fund(t, 100)
	bolt11 := c.Payable(t, 10_000)
	status, quote, _ := c.Call(t, "POST", "/v1/withdrawals/quote", fmt.Sprintf(`{"bolt11":%q}`, bolt11))
	require.Equal(t, http.StatusOK, status, quote)
	require.EqualValues(t, 0, quote["estimated_fee_msat"])
	require.Equal(t, true, quote["sufficient"])
	require.Eventually(t, func() bool {
		found, err := c.Temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = 'Quote' AND ExecutionStatus = 'Completed'",
		})
		if err != nil {
			return false
		}
		for _, run := range found.GetExecutions() {
			raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(c.history(t, run.GetExecution().GetWorkflowId()))
			if err == nil && bytes.Contains(payloads(t, raw), []byte(bolt11)) {
				workflowID = run.GetExecution().GetWorkflowId()
			}
		}

		return workflowID != ""
	}, 20*time.Second, 200*time.Millisecond)

	return workflowID
}

func (c *Client) liveSandboxPaid(t *testing.T) string {
	charge := c.Charge(t, 21, "")
	payment := c.play(t, http.StatusAccepted, "charges/"+Text(charge, "id")+"/pay", `{"amount_sats":25}`)
	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])

	return c.ended(t, "sandbox/"+Text(payment, "id"))
}

// liveSandboxReleased finds the run by its claim, whose id no client sees.
func (c *Client) liveSandboxReleased(t *testing.T) string {
	c.Fund(t, 100)
	held := c.play(t, http.StatusCreated, "invoices", `{"amount_sats":10,"behaviour":"hold"}`)
	withdrawal := c.Withdraw(t, Text(held, "bolt11"), "")
	require.NoError(t, c.Net.WaitHeld(t.Context(), paymentHashOf(t, held)))
	c.play(t, http.StatusOK, "invoices/"+Text(held, "id")+"/release", "")
	c.OverAs(t, Text(withdrawal, "id"), 20*time.Second, "")
	var id string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT resource_id FROM claim WHERE workspace_id = $1 AND path LIKE '%/release'", c.WorkspaceID).Scan(&id))

	return c.ended(t, "sandbox/"+id)
}

// busy waits until a workflow of the node, which never ends, has begun.
func (c *Client) busy(t *testing.T, prefix string) string {
	t.Helper()
	workflowID := prefix + c.Environment.Node.Name
	require.Eventually(t, func() bool {
		run, err := c.Temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")

		return err == nil && run.GetWorkflowExecutionInfo().GetHistoryLength() >= 5
	}, time.Minute, 50*time.Millisecond)

	return workflowID
}

// ended waits until a workflow has ended well.
func (c *Client) ended(t *testing.T, workflowID string) string {
	t.Helper()
	require.NoError(t, c.Temporal.GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), nil))

	return workflowID
}

func (c *Client) history(t *testing.T, workflowID string) *historypb.History {
	t.Helper()
	history := &historypb.History{}
	events := c.Temporal.GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	require.NotEmpty(t, history.Events)

	return history
}

// holdsNoSecret looks for every preimage, key, token and invoice of the stack
// in a history, in each form in which it could have got there.
func (c *Client) holdsNoSecret(t *testing.T, history *historypb.History) {
	t.Helper()
	raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
	require.NoError(t, err)
	seen := bytes.Join([][]byte{raw, payloads(t, raw)}, []byte("\n"))
	all, err := secret.Of(t.Context(), c.Environment, c.Store)
	require.NoError(t, err)
	require.NoError(t, secret.Find(seen, append(all, []byte(c.Key))))
}

// payloadData matches the data of a payload in a history's JSON.
var payloadData = regexp.MustCompile(`"data":\s*"([^"]*)"`)

// payloads are the data of all payloads as they are, not as JSON shows them.
func payloads(t *testing.T, history []byte) []byte {
	t.Helper()
	var all []byte
	for _, match := range payloadData.FindAllSubmatch(history, -1) {
		data, err := base64.StdEncoding.DecodeString(string(match[1]))
		require.NoError(t, err)
		all = append(append(all, data...), '\n')
	}

	return all
}

// identity matches what names the machine and the process that recorded.
var identity = regexp.MustCompile(`("identity":\s*)"[^"]*"`)

// record writes a history as the SDK's replayer reads it.
func record(t *testing.T, name string, history *historypb.History) {
	t.Helper()
	raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
	require.NoError(t, err)
	raw = identity.ReplaceAll(raw, []byte(`$1"recorder"`))
	// protojson varies its spaces on purpose; indented they are always the same.
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, raw, "", " "))
	indented.WriteByte('\n')
	require.NoError(t, os.WriteFile(filepath.Join(replayDir, name+".json"), indented.Bytes(), 0o600))
	t.Logf("%s: %d events, recorded %s", name, len(history.GetEvents()), time.Now().UTC().Format(time.RFC3339))
}
