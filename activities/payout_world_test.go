package activities_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// maxFee is the fee limit of the tests' withdrawals.
const maxFee payments.Msat = 5_000

// fund gives the workspace money.
func (w *world) fund(t *testing.T, workspace string, amount payments.Msat) {
	t.Helper()
	require.NoError(t, w.Store.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
		_, err := ledger.Post(t.Context(), tx, []ledger.Entry{{
			WorkspaceID: workspace, Kind: ledger.KindChargeSettled, Ref: payments.NewID("ch"),
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: amount,
		}})

		return err
	}))
}

// outside is an invoice of somebody else.
func (w *world) outside(outcomes ...lightningtest.Outcome) (bolt11 string, hash lightning.Hash) {
	bolt11, preimage := w.node.OutsideInvoice(amount, time.Hour, lightningtest.ThatWill(outcomes...))

	return bolt11, preimage.Hash()
}

// request is what the API would store of a POST for an outside invoice.
func request(bolt11 string, hash lightning.Hash) payments.WithdrawalRequest {
	return payments.WithdrawalRequest{
		Bolt11: bolt11, AmountMsat: amount, MaxFeeMsat: maxFee, PaymentHash: hex.EncodeToString(hash[:]),
		Destination: lightningtest.OutsidePubkey(), ExpiresAt: time.Now().Add(time.Hour),
	}
}

// hold claims and holds a withdrawal and returns its id, whatever came of it.
func (w *world) hold(t *testing.T, r payments.WithdrawalRequest) string {
	t.Helper()
	id, startBy := w.claim(t, payments.PrefixWithdrawal, r)
	_, err := w.payouts.HoldWithdrawal(t.Context(), workflows.HoldWithdrawal{WithdrawalID: id, StartBy: startBy})
	require.NoError(t, err)

	return id
}

// held is a withdrawal of an outside invoice whose funds are locked.
func (w *world) held(t *testing.T, outcomes ...lightningtest.Outcome) (id string, hash lightning.Hash) {
	t.Helper()
	w.fund(t, w.workspace, amount+maxFee)
	bolt11, hash := w.outside(outcomes...)
	id = w.hold(t, request(bolt11, hash))
	require.Equal(t, "held", w.payout(t, id).Status)

	return id, hash
}

func (w *world) payout(t *testing.T, id string) db.Withdrawal {
	t.Helper()
	row, err := w.Store.GetWithdrawal(t.Context(), id)
	require.NoError(t, err)

	return row
}

func (w *world) send(t *testing.T, id string) workflows.WithdrawalState {
	t.Helper()
	state, err := w.payouts.SendWithdrawal(t.Context(), workflows.SendWithdrawal{
		WithdrawalID: id, Sends: int(w.payout(t, id).Sends),
	})
	require.NoError(t, err)

	return state
}

func (w *world) follow(t *testing.T, id string) workflows.WithdrawalState {
	t.Helper()
	state, err := w.payouts.FollowWithdrawal(t.Context(), id)
	require.NoError(t, err)

	return state
}

// pass lets time go by for a withdrawal: everything in its rows is so much
// older.
func (w *world) pass(t *testing.T, id string, d time.Duration) {
	t.Helper()
	s := d.Seconds()
	w.exec(t, `UPDATE withdrawal SET created_at = created_at - make_interval(secs => $2), sent_at = sent_at - make_interval(secs => $2),
		finding_at = finding_at - make_interval(secs => $2), no_htlcs_since = no_htlcs_since - make_interval(secs => $2),
		absent_since = absent_since - make_interval(secs => $2),
		invoice_expires_at = invoice_expires_at - make_interval(secs => $2) WHERE id = $1`, id, s)
	w.exec(t, `UPDATE withdrawal_send SET started_at = started_at - make_interval(secs => $2),
		deadline = deadline - make_interval(secs => $2) WHERE withdrawal_id = $1`, id, s)
}

// expire takes the invoice past its expiry, for us and for the node.
func (w *world) expire(t *testing.T, id string) {
	t.Helper()
	w.exec(t, "UPDATE withdrawal SET invoice_expires_at = now() - interval '1 second' WHERE id = $1", id)
}

// books asserts a workspace's balance and that its transfers add up to it.
func (w *world) books(t *testing.T, workspace string, available, locked payments.Msat) {
	t.Helper()
	a, l, _, err := ledger.Balance(t.Context(), w.Store.Pool, workspace)
	require.NoError(t, err)
	require.Equal(t, available, a, "available")
	require.Equal(t, locked, l, "locked")
	require.NoError(t, ledger.Verify(t.Context(), w.Store.Pool, workspace))
}

// refused asserts that a claim was answered with a problem and left nothing.
func (w *world) refused(t *testing.T, id string, code payments.Code) {
	t.Helper()
	status, body := w.answer(t, id)
	var problem payments.Problem
	require.NoError(t, json.Unmarshal(body, &problem))
	require.Equal(t, code, problem.Code, string(body))
	require.EqualValues(t, problem.Status, status)
	require.NotEmpty(t, problem.RequestID)
	require.Zero(t, w.number(t, "SELECT count(*) FROM withdrawal WHERE id = $1", id))
	require.Zero(t, w.number(t, "SELECT count(*) FROM transfer WHERE ref = $1", id))
}

// succeeded asserts the end of a withdrawal that was paid for a fee.
func (w *world) succeeded(t *testing.T, id string, fee payments.Msat) {
	t.Helper()
	row := w.payout(t, id)
	require.Equal(t, "succeeded", row.Status)
	require.EqualValues(t, fee, row.FeeMsat)
	require.Equal(t, lightning.Hash(row.PaymentHash), lightning.Preimage(row.Preimage).Hash())
	require.Equal(t, []string{"withdrawal.succeeded"}, w.events(t, id))
	require.Zero(t, w.number(t, "SELECT count(*) FROM withdrawal_send WHERE withdrawal_id = $1 AND ended_at IS NULL", id))
}

// failed asserts the end of a withdrawal that moved nothing.
func (w *world) failed(t *testing.T, id string, code payments.FailureCode) {
	t.Helper()
	row := w.payout(t, id)
	require.Equal(t, "failed", row.Status)
	require.Equal(t, string(code), *row.FailureCode)
	require.Equal(t, []string{"withdrawal.failed"}, w.events(t, id))
}
