package e2e_test

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
	"github.com/lntpay/lntpay/tests/stack"
)

// envRecord makes TestHistories write what it sees into replayDir, for
// workflows.TestReplay.
const (
	envRecord = "LNTPAY_RECORD_HISTORIES"
	replayDir = "../../workflows/testdata/replay"
)

// TestHistories leads charges and withdrawals through their lives on the real stack and reads
// the histories that they leave: none holds a secret. They are what
// workflows.TestReplay replays; record them anew by LNTPAY_RECORD_HISTORIES=1.
func TestHistories(t *testing.T) {
	t.Parallel()
	for name, live := range map[string]func(*client, *testing.T) (workflowID string){
		"charge-paid":             (*client).livePaid,
		"charge-expired":          (*client).liveExpired,
		"charge-canceled":         (*client).liveCanceled,
		"charge-paid-delivered":   (*client).liveDelivered,
		"charge-paid-undelivered": (*client).liveUndelivered,
		"delivery-retried":        (*client).liveRetried,
		"node-watcher":            (*client).liveWatcher,
		"sweeper":                 (*client).liveSweeper,
		"withdrawal-succeeded":    (*client).liveWithdrawn,
		"withdrawal-failed":       (*client).liveWithdrawalFailed,
		"withdrawal-held":         (*client).liveWithdrawalHeld,
		"withdrawal-booked":       (*client).liveBooked,
		"withdrawal-refused":      (*client).liveWithdrawalRefused,
		"quote":                   (*client).liveQuote,
		"sandbox-paid":            (*client).liveSandboxPaid,
		"sandbox-released":        (*client).liveSandboxReleased,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t)
			workflowID := live(c, t)
			history := c.history(t, workflowID)
			c.holdsNoSecret(t, history)
			if os.Getenv(envRecord) != "" {
				record(t, name, history)
			}
		})
	}
}

func (c *client) livePaid(t *testing.T) string {
	charge := c.charge(t, 1000, `,"description":"replayed"`)
	c.pay(t, charge, 0)
	require.Equal(t, "paid", c.await(t, text(charge, "id"))["status"])

	return c.ended(t, "charge/"+text(charge, "id"))
}

func (c *client) liveExpired(t *testing.T) string {
	id := text(c.charge(t, 1000, `,"expires_in":60`), "id")
	c.ended(t, "charge/"+id)
	require.Equal(t, "expired", c.await(t, id)["status"])

	return "charge/" + id
}

func (c *client) liveCanceled(t *testing.T) string {
	id := text(c.charge(t, 1000, ""), "id")
	status, answer, _ := c.call(t, "POST", "/v1/charges/"+id+"/cancel", "{}")
	require.Equal(t, http.StatusOK, status, answer)

	return c.ended(t, "charge/"+id)
}

func (c *client) liveDelivered(t *testing.T) string {
	url, _ := receive(t)
	c.subscribe(t, url)

	return c.livePaid(t)
}

func (c *client) liveUndelivered(t *testing.T) string {
	url, _ := receive(t, http.StatusServiceUnavailable)
	c.subscribe(t, url)

	return c.livePaid(t)
}

func (c *client) liveRetried(t *testing.T) string {
	c.liveUndelivered(t)
	var id string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT id FROM delivery WHERE workspace_id = $1", c.workspaceID).Scan(&id))

	return c.ended(t, "delivery/"+id)
}

func (c *client) liveWatcher(t *testing.T) string { return c.busy(t, "node-watcher/") }

func (c *client) liveSweeper(t *testing.T) string { return c.busy(t, "sweeper/") }

// liveWithdrawn has a healthy endpoint.
func (c *client) liveWithdrawn(t *testing.T) string {
	c.fund(t, 100)
	url, got := receive(t)
	c.subscribe(t, url)
	id := text(c.withdraw(t, c.payable(t, 10_000), ""), "id")
	c.overAs(t, id, 20*time.Second, "")
	next(t, got)

	return c.ended(t, "withdrawal/"+id)
}

func (c *client) liveWithdrawalFailed(t *testing.T) string {
	c.fund(t, 100)
	id := text(c.withdraw(t, stranger(t, &chaincfg.RegressionNetParams, 10_000), ""), "id")
	c.overAs(t, id, 20*time.Second, payments.FailureNoRoute)

	return c.ended(t, "withdrawal/"+id)
}

// liveWithdrawalHeld is longer in flight than a send is listened to.
func (c *client) liveWithdrawalHeld(t *testing.T) string {
	c.fund(t, 100)
	h := c.withdrawHeld(t, 10_000)
	require.Eventually(t, func() bool {
		flight, _ := c.withdrawal(t, h.id)["in_flight"].(object)

		return flight["checked_at"] != nil
	}, time.Minute, time.Second, "nobody follows")
	c.settle(t, h.preimage)
	c.overAs(t, h.id, 20*time.Second, "")

	return c.ended(t, "withdrawal/"+h.id)
}

func (c *client) liveBooked(t *testing.T) string {
	c.fund(t, 100)
	id := text(c.withdraw(t, text(newClient(t).charge(t, 10, ""), "bolt11"), ""), "id")
	c.overAs(t, id, 20*time.Second, "")

	return c.ended(t, "withdrawal/"+id)
}

// liveWithdrawalRefused finds the run by its workspace: what is refused has no
// id that a client would see.
func (c *client) liveWithdrawalRefused(t *testing.T) string {
	c.refused(t, c.payable(t, 10_000), "", http.StatusUnprocessableEntity, payments.CodeInsufficientBalance)
	var id string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT resource_id FROM claim WHERE workspace_id = $1", c.workspaceID).Scan(&id))

	return c.ended(t, "withdrawal/"+id)
}

// liveQuote finds the run by its invoice, which is all that it holds.
func (c *client) liveQuote(t *testing.T) (workflowID string) {
	c.fund(t, 100)
	bolt11 := c.payable(t, 10_000)
	status, quote, _ := c.call(t, "POST", "/v1/withdrawals/quote", fmt.Sprintf(`{"bolt11":%q}`, bolt11))
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

func (c *client) liveSandboxPaid(t *testing.T) string {
	charge := c.charge(t, 21, "")
	payment := c.play(t, http.StatusAccepted, "charges/"+text(charge, "id")+"/pay", `{"amount_sats":25}`)
	require.Equal(t, "paid", c.await(t, text(charge, "id"))["status"])

	return c.ended(t, "sandbox/"+text(payment, "id"))
}

// liveSandboxReleased finds the run by its claim, whose id no client sees.
func (c *client) liveSandboxReleased(t *testing.T) string {
	c.fund(t, 100)
	held := c.play(t, http.StatusCreated, "invoices", `{"amount_sats":10,"behaviour":"hold"}`)
	withdrawal := c.withdraw(t, text(held, "bolt11"), "")
	require.NoError(t, c.Net.WaitHeld(t.Context(), paymentHashOf(t, held)))
	c.play(t, http.StatusOK, "invoices/"+text(held, "id")+"/release", "")
	c.overAs(t, text(withdrawal, "id"), 20*time.Second, "")
	var id string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(),
		"SELECT resource_id FROM claim WHERE workspace_id = $1 AND path LIKE '%/release'", c.workspaceID).Scan(&id))

	return c.ended(t, "sandbox/"+id)
}

// busy waits until a workflow of the node, which never ends, has begun.
func (c *client) busy(t *testing.T, prefix string) string {
	t.Helper()
	workflowID := prefix + c.Config.Sandbox.Node.Name
	require.Eventually(t, func() bool {
		run, err := c.Temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")

		return err == nil && run.GetWorkflowExecutionInfo().GetHistoryLength() >= 5
	}, time.Minute, 50*time.Millisecond)

	return workflowID
}

// ended waits until a workflow has ended well.
func (c *client) ended(t *testing.T, workflowID string) string {
	t.Helper()
	require.NoError(t, c.Temporal.GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), nil))

	return workflowID
}

func (c *client) history(t *testing.T, workflowID string) *historypb.History {
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
func (c *client) holdsNoSecret(t *testing.T, history *historypb.History) {
	t.Helper()
	raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
	require.NoError(t, err)
	seen := bytes.Join([][]byte{raw, payloads(t, raw)}, []byte("\n"))
	secrets, err := c.Secrets(t.Context())
	require.NoError(t, err)
	require.NoError(t, stack.FindSecret(seen, append(secrets, []byte(c.key))))
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
