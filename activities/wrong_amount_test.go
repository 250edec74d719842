package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
)

// otherAmount is a withdrawal whose hash the node has paid another amount for.
func (w *world) otherAmount(t *testing.T) (id string, hash lightning.Hash) {
	t.Helper()
	id, hash = w.lost(t, lightningtest.FailAfter, lightningtest.Hold(7))
	require.NoError(t, w.node.SettlePayment(hash))
	w.node.EditPayment(hash, func(p *lightning.Payment) { p.ValueMsat = amount + 11 })
	w.pass(t, id, time.Hour)

	return id, hash
}

func (w *world) losses(t *testing.T) int64 {
	t.Helper()

	return w.number(t, "SELECT coalesce(sum(amount_msat), 0)::bigint FROM transfer WHERE kind = 'operator_loss_payment'")
}

// A payment of another amount cannot be posted. An operator gives it up: the
// client has the funds back, and what the node paid is the operator's loss, once.
func TestWrongAmountIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	id, hash := w.otherAmount(t)
	outcome, detail := w.resolve(t, id, "void")
	require.Equal(t, "refused", outcome, "nobody has looked at it")
	require.Contains(t, detail, "succeeded")
	w.follow(t, id)
	require.Contains(t, *w.payout(t, id).ReviewReason, "instead of")
	outcome, _ = w.resolve(t, id, "post")
	require.Equal(t, "refused", outcome)
	w.sweepPayments(t)
	w.books(t, w.workspace, 0, amount+maxFee)
	require.Zero(t, w.losses(t))

	outcome, detail = w.resolve(t, id, "void")
	require.Equal(t, "applied", outcome, detail)
	w.failed(t, id, payments.FailurePaidElsewhere)
	w.books(t, w.workspace, amount+maxFee, 0)
	require.EqualValues(t, amount+11+7, w.losses(t))
	require.Equal(t, 1, w.alerts(t, activities.AlertLatePayment))
	w.refused(t, w.hold(t, request("lnbcrt1again", hash)), payments.CodeDuplicatePayment)
	w.sweepPayments(t)
	w.sweepPayments(t)
	require.EqualValues(t, amount+11+7, w.losses(t), "once")
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM stray_payment WHERE state = 'booked' AND withdrawal_id = $1", id))
	require.EqualValues(t, 1, w.number(t, "SELECT payments_explained_to FROM node"))
}

// What is in the books already, or its owner's, is not booked again.
func TestWrongAmountBookedBefore(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"booked", "owner"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.otherAmount(t)
			w.follow(t, id)
			payment, err := w.node.TrackPayment(t.Context(), hash)
			require.NoError(t, err)
			w.exec(t, `INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, status, amount_msat, fee_msat, state, closed_at)
				VALUES ('merchant', $1, $2, $3, 'succeeded', 1, 0, $4, now())`, payment.Index, payment.CreatedNS, hash[:], state)
			outcome, detail := w.resolve(t, id, "void")
			require.Equal(t, "applied", outcome, detail)
			w.books(t, w.workspace, amount+maxFee, 0)
			require.Zero(t, w.losses(t))
		})
	}
}

// A preimage that is none proves no payment: that stays refused.
func TestWrongPreimageIsNotGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.otherAmount(t)
	w.node.EditPayment(hash, func(p *lightning.Payment) { p.Preimage[0]++ })
	w.follow(t, id)
	outcome, detail := w.resolve(t, id, "void")
	require.Equal(t, "refused", outcome)
	require.Contains(t, detail, "succeeded")
	w.books(t, w.workspace, 0, amount+maxFee)
}
