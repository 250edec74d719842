package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// Reconcile runs `lntpay ops reconcile --full --wait` and returns what it prints.
func (c *Client) Reconcile(t *testing.T) (found ops.Findings) {
	t.Helper()
	starter := &workflows.Starter{Client: c.Temporal, Environment: payments.Sandbox}
	cmd := ops.Command(func(ctx context.Context, _ string, fn func(context.Context, ops.Backend) error) error {
		return fn(ctx, ops.Backend{Store: c.Store, Nudger: starter, Reconciler: starter, Deliverer: starter})
	})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"reconcile", "--full", "--wait", "--json"})
	err := cmd.ExecuteContext(t.Context())
	if exit, ok := errors.AsType[*ops.ExitError](err); ok {
		require.Equal(t, ops.ExitFindings, exit.Code, "%s: %s", err, out.String())
	} else {
		require.NoError(t, err, out.String())
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &found), out.String())

	return found
}

// After charges, withdrawals and a book transfer books and node agree; a receipt
// that was deleted is put back, and nobody is paid twice.
func testReconciliation(t *testing.T, s *Stack) {
	c, payee := s.NewClient(t), s.NewClient(t)
	c.Fund(t, 100)
	charge := c.Charge(t, 10, "")
	c.Pay(t, charge, 0)
	require.Equal(t, "paid", c.Await(t, Text(charge, "id"))["status"])
	c.OverAs(t, Text(c.Withdraw(t, c.Payable(t, 10_000), ""), "id"), 20*time.Second, "")
	c.OverAs(t, Text(c.Withdraw(t, stranger(t, &chaincfg.RegressionNetParams, 10_000), ""), "id"), 20*time.Second, payments.FailureNoRoute)
	c.OverAs(t, Text(c.Withdraw(t, Text(payee.Charge(t, 10, ""), "bolt11"), ""), "id"), 20*time.Second, "")
	c.soundWith(t, payee)

	tag, err := c.Store.Pool.Exec(t.Context(), "DELETE FROM receipt WHERE charge_id = $1", Text(charge, "id"))
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	before := len(c.Transfers(t))
	c.soundWith(t, payee)
	var state string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(), "SELECT state FROM receipt WHERE charge_id = $1", Text(charge, "id")).Scan(&state))
	require.Equal(t, "credited", state)
	require.Len(t, c.Transfers(t), before)
}

// soundWith requires that nothing is found about two workspaces. Other tests do
// harm of their own to theirs.
func (c *Client) soundWith(t *testing.T, other *Client) {
	t.Helper()
	found := c.Reconcile(t)
	require.Positive(t, found.Report.Invoices)
	require.Empty(t, found.Report.NodeError)
	for _, f := range found.Findings {
		require.NotContains(t, []string{c.WorkspaceID, other.WorkspaceID}, f.WorkspaceID, "%s of %s: %s", f.Kind, f.Subject, f.Detail)
	}
}
