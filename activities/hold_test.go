package activities_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

func TestHoldLocksAmountAndFee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, 100_000)
	bolt11, hash := w.outside()
	id := w.hold(t, request(bolt11, hash))

	w.books(t, w.workspace, 100_000-amount-maxFee, amount+maxFee)
	status, body := w.answer(t, id)
	require.EqualValues(t, 201, status)
	var object map[string]any
	require.NoError(t, json.Unmarshal(body, &object))
	require.Equal(t, "pending", object["status"])
	require.Nil(t, object["preimage"])
	require.Nil(t, object["in_flight"])

	// Again, also late, nothing is judged again.
	state, err := w.payouts.HoldWithdrawal(t.Context(), workflows.HoldWithdrawal{WithdrawalID: id, StartBy: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Equal(t, workflows.StepSend, state.Next)
	_, again := w.answer(t, id)
	sameBytes(t, body, again)
	w.books(t, w.workspace, 100_000-amount-maxFee, amount+maxFee)
}

func TestHoldRefuses(t *testing.T) {
	t.Parallel()
	const plenty = 10_000_000
	for name, c := range map[string]struct {
		arrange func(t *testing.T, w *world, r *payments.WithdrawalRequest)
		want    payments.Code
	}{
		"more than there is": {func(_ *testing.T, _ *world, r *payments.WithdrawalRequest) {
			r.AmountMsat = plenty - maxFee + 1
		}, payments.CodeInsufficientBalance},
		"about to expire": {func(_ *testing.T, _ *world, r *payments.WithdrawalRequest) {
			r.ExpiresAt = time.Now().Add(9 * time.Second)
		}, payments.CodeInvoiceExpired},
		"lives too long": {func(_ *testing.T, _ *world, r *payments.WithdrawalRequest) {
			r.ExpiresAt = time.Now().Add(8 * 24 * time.Hour)
		}, payments.CodeInvoiceInvalid},
		"paid by another": {func(t *testing.T, w *world, r *payments.WithdrawalRequest) {
			w.hold(t, *r)
		}, payments.CodeDuplicatePayment},
		"still paid after a void": {func(t *testing.T, w *world, r *payments.WithdrawalRequest) {
			w.exec(t, `INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, withdrawal_id, status, amount_msat, fee_msat, state)
				VALUES ('merchant', 1, 1, decode($1, 'hex'), 'wd_1', 'in_flight', 1, 0, 'open')`, r.PaymentHash)
		}, payments.CodeDuplicatePayment},
		"of our node, no charge": {func(_ *testing.T, w *world, r *payments.WithdrawalRequest) {
			r.Destination = w.node.Pubkey()
		}, payments.CodeInvoiceInvalid},
		"workspace frozen": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.freeze(t, w.workspace)
		}, payments.CodePayoutsFrozen},
		"node frozen": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.freeze(t, "node/merchant")
		}, payments.CodePayoutsFrozen},
		"all frozen": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.freeze(t, "all")
		}, payments.CodePayoutsFrozen},
		"node back in time": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.exec(t, "UPDATE node SET regressed_at = now()")
		}, payments.CodePayoutsFrozen},
		"unexplained payment": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.exec(t, `INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, status, amount_msat, fee_msat, state)
				VALUES ('merchant', 1, 1, sha256('x'), 'succeeded', 1, 0, 'open')`)
		}, payments.CodePayoutsFrozen},
		"too large": {func(_ *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.MaxAmountMsat = amount - 1
		}, payments.CodeLimitExceeded},
		"too many of the workspace": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.WorkspaceOpen = 1
			w.hold(t, request(w.outside()))
		}, payments.CodeLimitExceeded},
		"too much of the workspace": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.WorkspaceOpenMsat = 2*(amount+maxFee) - 1
			w.hold(t, request(w.outside()))
		}, payments.CodeLimitExceeded},
		"too much in a day": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.WorkspaceDailyMsat = 2*amount - 1
			w.payNow(t)
		}, payments.CodeLimitExceeded},
		"too many of the node": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.NodeOpen = 1
			w.ofAnother(t)
		}, payments.CodeLimitExceeded},
		"too much of the node": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.NodeOpenMsat = 2*(amount+maxFee) - 1
			w.ofAnother(t)
		}, payments.CodeLimitExceeded},
		"too much of the node in a day": {func(t *testing.T, w *world, _ *payments.WithdrawalRequest) {
			w.payouts.Policy.NodeDailyMsat = 2*amount - 1
			w.ofAnother(t)
		}, payments.CodeLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fund(t, w.workspace, plenty)
			bolt11, hash := w.outside()
			r := request(bolt11, hash)
			c.arrange(t, w, &r)
			before := w.number(t, "SELECT count(*) FROM transfer")
			id := w.hold(t, r)
			w.refused(t, id, c.want)
			require.Equal(t, before, w.number(t, "SELECT count(*) FROM transfer"))
		})
	}
}

func (w *world) freeze(t *testing.T, scope string) {
	t.Helper()
	w.exec(t, `INSERT INTO payout_freeze (scope, frozen, reason, actor) VALUES ($1, true, 'test', 'test')
		ON CONFLICT (scope) DO UPDATE SET frozen = true`, scope)
}

func (w *world) thaw(t *testing.T) {
	t.Helper()
	w.exec(t, "UPDATE payout_freeze SET frozen = false")
}

// payNow is a withdrawal that succeeded.
func (w *world) payNow(t *testing.T) {
	t.Helper()
	id := w.hold(t, request(w.outside()))
	w.send(t, id)
	w.succeeded(t, id, 0)
}

// ofAnother holds a withdrawal of another workspace.
func (w *world) ofAnother(t *testing.T) {
	t.Helper()
	mine := w.workspace
	w.workspace = storetest.Workspace(t, w.Store)
	w.held(t)
	w.workspace = mine
}

func TestHoldTooLateDecidesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, 100_000)
	bolt11, hash := w.outside()
	id, _ := w.claim(t, payments.PrefixWithdrawal, request(bolt11, hash))
	_, err := w.payouts.HoldWithdrawal(t.Context(), workflows.HoldWithdrawal{WithdrawalID: id, StartBy: time.Now().Add(-time.Second)})
	require.ErrorContains(t, err, "start_by")
	status, _ := w.answer(t, id)
	require.Zero(t, status)
	w.books(t, w.workspace, 100_000, 0)
}

// Sixty-four withdrawals at once of a balance that bears ten: ten are held.
func TestConcurrentHoldsNeverOverdraw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, 10*(amount+maxFee)+1)
	ids := make([]string, 64)
	orders := make([]workflows.HoldWithdrawal, len(ids))
	for i := range ids {
		bolt11, hash := w.outside()
		id, startBy := w.claim(t, payments.PrefixWithdrawal, request(bolt11, hash))
		ids[i], orders[i] = id, workflows.HoldWithdrawal{WithdrawalID: id, StartBy: startBy}
	}
	errs := atOnce(len(ids), func(i int) error {
		_, err := w.payouts.HoldWithdrawal(t.Context(), orders[i])

		return err
	})
	require.Empty(t, errs)
	require.EqualValues(t, 10, w.number(t, "SELECT count(*) FROM withdrawal WHERE status = 'held'"))
	require.EqualValues(t, 54, w.number(t, "SELECT count(*) FROM claim WHERE answer_status = 422"))
	w.books(t, w.workspace, 1, 10*(amount+maxFee))
}

// Two workspaces race for one invoice: one has it, the other is told.
func TestOneInvoiceOneWithdrawal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bolt11, hash := w.outside()
	var orders []workflows.HoldWithdrawal
	for range 8 {
		w.workspace = storetest.Workspace(t, w.Store)
		w.fund(t, w.workspace, 100_000)
		id, startBy := w.claim(t, payments.PrefixWithdrawal, request(bolt11, hash))
		orders = append(orders, workflows.HoldWithdrawal{WithdrawalID: id, StartBy: startBy})
	}
	require.Empty(t, atOnce(len(orders), func(i int) error {
		_, err := w.payouts.HoldWithdrawal(t.Context(), orders[i])

		return err
	}))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM withdrawal"))
	require.EqualValues(t, 7, w.number(t, "SELECT count(*) FROM claim WHERE answer_status = 409"))
}

// After a failure the same invoice may be tried again.
func TestHashIsFreeAfterFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, 100_000)
	bolt11, hash := w.outside(lightningtest.Fail(lightning.ReasonNoRoute), lightningtest.Succeed(7))
	first := w.hold(t, request(bolt11, hash))
	w.send(t, first)
	w.failed(t, first, payments.FailureNoRoute)
	second := w.hold(t, request(bolt11, hash))
	w.send(t, second)
	w.succeeded(t, second, 7)
	third := w.hold(t, request(bolt11, hash))
	w.refused(t, third, payments.CodeDuplicatePayment)
	w.books(t, w.workspace, 100_000-amount-7, 0)
}
