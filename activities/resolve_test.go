package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// command writes an operator's command.
func (w *world) command(t *testing.T, id, action string) {
	t.Helper()
	w.exec(t, `INSERT INTO withdrawal_resolution (withdrawal_id, action, actor, reason) VALUES ($1, $2, 'ann', 'test')`, id, action)
}

// resolve carries a command out and returns what came of it.
func (w *world) resolve(t *testing.T, id, action string) (outcome, detail string) {
	t.Helper()
	w.command(t, id, action)
	_, err := w.payouts.ResolveWithdrawal(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, w.Store.Pool.QueryRow(t.Context(), `SELECT outcome, detail FROM withdrawal_resolution
		WHERE withdrawal_id = $1 ORDER BY id DESC LIMIT 1`, id).Scan(&outcome, &detail))

	return outcome, detail
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(t *testing.T, w *world) string
		action  string
		outcome string
		status  string
	}{
		"post what succeeded": {func(t *testing.T, w *world) string {
			id, hash := w.held(t)
			w.node.ForeignPayment(hash, lightning.PaymentSucceeded, amount, 0)
			w.send(t, id)

			return id
		}, "post", "applied", "succeeded"},
		"post what is in flight": {func(t *testing.T, w *world) string {
			id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))

			return id
		}, "post", "refused", "following"},
		"void what is paid elsewhere": {func(t *testing.T, w *world) string {
			id, hash := w.held(t)
			w.node.ForeignPayment(hash, lightning.PaymentInFlight, amount, 0)
			w.send(t, id)

			return id
		}, "void", "applied", "failed"},
		"void what is in flight": {func(t *testing.T, w *world) string {
			id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
			w.pass(t, id, time.Minute)

			return id
		}, "void", "refused", "following"},
		"void what failed": {func(t *testing.T, w *world) string {
			id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonNoRoute))
			w.pass(t, id, time.Minute)

			return id
		}, "void", "applied", "failed"},
		"void before the deadline": {func(t *testing.T, w *world) string {
			id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Fail(lightning.ReasonNoRoute))

			return id
		}, "void", "refused", "following"},
		"void what could be sent": {func(t *testing.T, w *world) string {
			id, _ := w.lost(t, lightningtest.FailBefore)
			w.pass(t, id, time.Minute)

			return id
		}, "void", "refused", "following"},
		"void by another's failure": {func(t *testing.T, w *world) string {
			id, hash := w.held(t)
			w.node.ForeignPayment(hash, lightning.PaymentFailed, amount, 0)
			w.node.Inject(lightningtest.SendPayment, lightningtest.FailBefore)
			w.send(t, id)
			w.pass(t, id, time.Minute)

			return id
		}, "void", "refused", "following"},
		"void what expired unsent": {func(t *testing.T, w *world) string {
			id, _ := w.lost(t, lightningtest.FailBefore)
			w.pass(t, id, time.Minute)
			w.expire(t, id)

			return id
		}, "void", "applied", "failed"},
		"retry a review": {func(t *testing.T, w *world) string {
			id, hash := w.held(t)
			w.node.ForeignPayment(hash, lightning.PaymentInFlight, amount, 0)
			w.send(t, id)

			return id
		}, "retry", "applied", "held"},
		"void what is over": {func(t *testing.T, w *world) string {
			id, _ := w.held(t)
			w.send(t, id)

			return id
		}, "void", "refused", "succeeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := c.arrange(t, w)
			outcome, detail := w.resolve(t, id, c.action)
			require.Equal(t, c.outcome, outcome, detail)
			row := w.payout(t, id)
			require.Equal(t, c.status, row.Status)
			require.Nil(t, row.ReviewReason)
			switch payments.WithdrawalStatus(c.status) {
			case payments.WithdrawalSucceeded:
				w.succeeded(t, id, 0)
				w.books(t, w.workspace, maxFee, 0)
			case payments.WithdrawalFailed:
				w.books(t, w.workspace, amount+maxFee, 0)
			default:
				w.books(t, w.workspace, 0, amount+maxFee)
			}
		})
	}
}

// An operator voids a book transfer, unless its node has gone back in time.
func TestResolveBook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, payer := w.book(t)
	w.exec(t, "UPDATE withdrawal SET review_reason = 'test', next_check_at = NULL WHERE id = $1", id)
	outcome, detail := w.resolve(t, id, "post")
	require.Equal(t, "refused", outcome, detail)
	w.exec(t, "UPDATE node SET highest_payment_index = 100")
	outcome, detail = w.resolve(t, id, "void")
	require.Equal(t, "refused", outcome)
	require.Contains(t, detail, "thaw it first")
	w.books(t, payer, 0, amount)
	w.exec(t, "UPDATE node SET regressed_at = NULL, highest_payment_index = 0")
	outcome, detail = w.resolve(t, id, "void")
	require.Equal(t, "applied", outcome, detail)
	w.failed(t, id, payments.FailurePaidElsewhere)
	require.Nil(t, w.row(t, chargeID).SettlingBy)
	w.books(t, payer, amount, 0)
}

// A command that nobody was nudged for, or that came too late, is judged all
// the same: somebody always comes back.
func TestCommandsAreSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.held(t)
	w.node.ForeignPayment(hash, lightning.PaymentInFlight, amount, 0)
	w.send(t, id)
	w.command(t, id, "retry")
	w.exec(t, "UPDATE withdrawal_resolution SET created_at = now() - interval '11 seconds'")
	require.NoError(t, w.nodes.SweepRows(t.Context()))
	require.Contains(t, w.nudger.withdrawals, id)

	over, _ := w.held(t)
	w.send(t, over)
	w.command(t, over, "void")
	state, err := w.payouts.LookAtWithdrawal(t.Context(), over)
	require.NoError(t, err)
	require.Equal(t, workflows.StepResolve, state.Next)
	state, err = w.payouts.ResolveWithdrawal(t.Context(), over)
	require.NoError(t, err)
	require.Equal(t, workflows.StepNone, state.Next)
	w.succeeded(t, over, 0)
}
