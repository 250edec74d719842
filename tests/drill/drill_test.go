package drill_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/payments"
	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/tests/stack"
	"github.com/lntpay/lntpay/workflows"
)

const (
	sat = payments.MsatPerSat
	// healTime is how long what heals by itself may take after the start.
	healTime = 90 * time.Second
)

// drill is a workspace on a stack that is about to lose its database.
type drill struct {
	*testing.T
	stack       *stack.Stack
	client      *lntpay.Client
	workspaceID string
}

// TestRestoredDatabase is the whole page.
func TestRestoredDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("drill: needs Postgres, Temporal and a Lightning network, which -short leaves out")
	}
	d := open(t)
	credited := d.charge(100_000 * sat)
	d.paid(credited)
	done := d.withdraw(d.invoice(1_000 * sat))
	d.over(done)
	late, later, dropped := d.charge(2_000*sat), d.charge(3_000*sat), d.charge(4_000*sat)
	var preimage [32]byte
	_, _ = rand.Read(preimage[:])
	held := d.withdraw(d.holdInvoice(preimage, 5_000*sat))
	require.NoError(t, d.stack.Net.WaitHeld(t.Context(), sha256.Sum256(preimage[:])))

	backup, err := d.stack.Backup(t.Context())
	require.NoError(t, err)

	// All of this the database will not know.
	d.paid(late)
	_, err = d.client.Charges.Cancel(t.Context(), dropped.ID)
	require.NoError(t, err)
	lost := d.charge(7_000 * sat)
	d.paid(lost)
	paidOut := d.withdraw(d.invoice(8_000 * sat))
	d.over(paidOut)
	require.NoError(t, d.stack.Net.SettleHoldInvoice(t.Context(), preimage))
	d.over(held)
	require.NoError(t, d.stack.Stop())
	d.pay(later)

	require.NoError(t, d.stack.Restore(t.Context(), backup))
	d.ops(0, "freeze", "--all", "--by", "drill", "--reason", "restored")
	require.NoError(t, d.stack.Start(t.Context()))
	t.Log("restored and started; what follows heals")

	d.healsByItself(late, later, dropped, held)
	d.healedByAnOperator(lost, paidOut)
	d.endsAsItBegan()
}

// healsByItself is everything that has a row.
func (d *drill) healsByItself(late, later, dropped *lntpay.Charge, held *lntpay.Withdrawal) {
	d.Helper()
	for _, charge := range []*lntpay.Charge{late, later} {
		d.eventually("the charge that was paid after the backup is credited", func(ctx context.Context) bool {
			now, err := d.client.Charges.Get(ctx, charge.ID)

			return err == nil && now.Status == lntpay.ChargePaid && now.AmountPaidMsat == charge.AmountMsat
		})
	}
	// By itself it would be looked at when its row says so, and a sweep later.
	d.ops(0, "nudge", held.ID)
	d.eventually("the withdrawal that was under way is posted, by what the node says", func(ctx context.Context) bool {
		now, err := d.client.Withdrawals.Get(ctx, held.ID)

		return err == nil && now.Status == lntpay.WithdrawalSucceeded
	})
	now, err := d.client.Charges.Cancel(d.Context(), dropped.ID)
	require.NoError(d, err, "its invoice is canceled already, and that is fine")
	require.Equal(d, lntpay.ChargeCanceled, now.Status)
}

func open(t *testing.T) *drill {
	t.Helper()
	s, err := stack.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(s.Close)
	workspaceID, key, err := s.NewKey(t.Context())
	require.NoError(t, err)
	client, err := lntpay.New(lntpay.Options{APIKey: key, BaseURL: s.APIURL})
	require.NoError(t, err)

	return &drill{T: t, stack: s, client: client, workspaceID: workspaceID}
}

func (d *drill) charge(amount payments.Msat) *lntpay.Charge {
	d.Helper()
	charge, err := d.client.Charges.Create(d.Context(), lntpay.ChargeParams{AmountMsat: int64(amount)})
	require.NoError(d, err)

	return charge
}

// pay pays a charge; whether anybody notices is another matter.
func (d *drill) pay(charge *lntpay.Charge) {
	d.Helper()
	_, err := d.stack.Net.Pay(d.Context(), charge.Bolt11, 0)
	require.NoError(d, err)
}

func (d *drill) paid(charge *lntpay.Charge) {
	d.Helper()
	d.pay(charge)
	now, err := d.client.Charges.Wait(d.Context(), charge.ID)
	require.NoError(d, err)
	require.Equal(d, lntpay.ChargePaid, now.Status)
}

func (d *drill) invoice(amount payments.Msat) string {
	d.Helper()
	bolt11, err := d.stack.Net.AddInvoice(d.Context(), amount, time.Hour)
	require.NoError(d, err)

	return bolt11
}

func (d *drill) holdInvoice(preimage [32]byte, amount payments.Msat) string {
	d.Helper()
	bolt11, err := d.stack.Net.AddHoldInvoice(d.Context(), sha256.Sum256(preimage[:]), amount, time.Hour)
	require.NoError(d, err)

	return bolt11
}

func (d *drill) withdraw(bolt11 string) *lntpay.Withdrawal {
	d.Helper()
	withdrawal, err := d.client.Withdrawals.Create(d.Context(), lntpay.WithdrawalParams{Bolt11: bolt11})
	require.NoError(d, err)

	return withdrawal
}

func (d *drill) over(withdrawal *lntpay.Withdrawal) {
	d.Helper()
	now, err := d.client.Withdrawals.Wait(d.Context(), withdrawal.ID)
	require.NoError(d, err)
	require.Equal(d, lntpay.WithdrawalSucceeded, now.Status)
}

// ops is `lntpay ops …` on the stack, as an operator would run it.
func (d *drill) ops(exit int, args ...string) string {
	d.Helper()
	cmd := ops.Command(func(ctx context.Context, _ string, fn func(context.Context, ops.Backend) error) error {
		starter := &workflows.Starter{Client: d.stack.Temporal, Environment: payments.Sandbox}

		return fn(ctx, ops.Backend{Store: d.stack.Store, Nudger: starter, Reconciler: starter, Deliverer: starter, Finder: starter})
	})
	var output bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&output)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(d.Context())
	code := 0
	if exitErr, ok := errors.AsType[*ops.ExitError](err); ok {
		code = exitErr.ExitCode()
	} else {
		require.NoError(d, err, output.String())
	}
	d.Logf("$ lntpay ops %v\n%s", args, output.String())
	require.Equal(d, exit, code)

	return output.String()
}

func (d *drill) eventually(what string, done func(context.Context) bool) {
	d.Helper()
	require.Eventually(d, func() bool {
		ctx, cancel := context.WithTimeout(d.Context(), 10*time.Second)
		defer cancel()

		return done(ctx)
	}, healTime, 200*time.Millisecond, what)
}

// healedByAnOperator is what was made after the backup, and has no row.
func (d *drill) healedByAnOperator(lost *lntpay.Charge, paidOut *lntpay.Withdrawal) {
	d.Helper()
	d.eventually("the payment of the lost withdrawal is found, and freezes the node", func(context.Context) bool {
		return strings.Contains(d.ops(0, "strays"), paidOut.PaymentHash)
	})
	d.ops(0, "stray", d.stack.Net.Merchant.Config.Name, d.strayIndex(paidOut), "--book", "--workspace", d.workspaceID,
		"--by", "drill", "--reason", "the withdrawal that the backup had not")
	d.eventually("the receipt of the lost charge waits in suspense", func(context.Context) bool {
		return strings.Contains(d.ops(0, "suspense", "list"), lost.PaymentHash)
	})
	d.ops(0, "suspense", "assign", lost.PaymentHash, "--workspace", d.workspaceID,
		"--by", "drill", "--reason", "the charge that the backup had not")
}

func (d *drill) strayIndex(withdrawal *lntpay.Withdrawal) string {
	d.Helper()
	for line := range strings.Lines(d.ops(0, "strays")) {
		if fields := strings.Fields(line); strings.Contains(line, withdrawal.PaymentHash) {
			return fields[1]
		}
	}
	require.Fail(d, "no stray of that payment")

	return ""
}

// endsAsItBegan thaws, trades, and has the books agree with the node.
func (d *drill) endsAsItBegan() {
	d.Helper()
	d.ops(0, "thaw", "--all", "--by", "drill", "--reason", "the books agree")
	d.paid(d.charge(10_000 * sat))
	d.over(d.withdraw(d.invoice(1_000 * sat)))
	balance, err := d.client.Ledger.Balance(d.Context())
	require.NoError(d, err)
	// In 100,000, 2,000, 3,000, 7,000 and 10,000; out 1,000, 5,000 and 1,000. The
	// 8,000 that the backup had not are the operator's loss. Fees are zero over
	// one hop.
	require.Equal(d, int64((122_000-7_000)*sat), balance.AvailableMsat)
	require.Zero(d, balance.LockedMsat)
	d.ops(0, "reconcile", "--full", "--wait")
	d.ops(0, "verify")
}
