package e2e_test

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

// reconcile runs `lntpay ops reconcile --full --wait` and returns what it prints.
func (c *client) reconcile(t *testing.T) (found ops.Findings) {
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
	var exit *ops.ExitError
	if errors.As(err, &exit) {
		require.Equal(t, ops.ExitFindings, exit.Code, "%s: %s", err, out.String())
	} else {
		require.NoError(t, err, out.String())
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &found), out.String())

	return found
}

// After charges, withdrawals and a book transfer books and node agree; a receipt
// that was deleted is put back, and nobody is paid twice.
func TestReconciliation(t *testing.T) {
	t.Parallel()
	c, payee := newClient(t), newClient(t)
	c.fund(t, 100)
	charge := c.charge(t, 10, "")
	c.pay(t, charge, 0)
	require.Equal(t, "paid", c.await(t, text(charge, "id"))["status"])
	c.overAs(t, text(c.withdraw(t, c.payable(t, 10_000), ""), "id"), 20*time.Second, "")
	c.overAs(t, text(c.withdraw(t, stranger(t, &chaincfg.RegressionNetParams, 10_000), ""), "id"), 20*time.Second, payments.FailureNoRoute)
	c.overAs(t, text(c.withdraw(t, text(payee.charge(t, 10, ""), "bolt11"), ""), "id"), 20*time.Second, "")
	c.soundWith(t, payee)

	tag, err := c.Store.Pool.Exec(t.Context(), "DELETE FROM receipt WHERE charge_id = $1", text(charge, "id"))
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	before := len(c.transfers(t))
	c.soundWith(t, payee)
	var state string
	require.NoError(t, c.Store.Pool.QueryRow(t.Context(), "SELECT state FROM receipt WHERE charge_id = $1", text(charge, "id")).Scan(&state))
	require.Equal(t, "credited", state)
	require.Len(t, c.transfers(t), before)
}

// soundWith requires that nothing is found about two workspaces. Other tests do
// harm of their own to theirs.
func (c *client) soundWith(t *testing.T, other *client) {
	t.Helper()
	found := c.reconcile(t)
	require.Positive(t, found.Report.Invoices)
	require.Empty(t, found.Report.NodeError)
	for _, f := range found.Findings {
		require.NotContains(t, []string{c.workspaceID, other.workspaceID}, f.WorkspaceID, "%s of %s: %s", f.Kind, f.Subject, f.Detail)
	}
}
