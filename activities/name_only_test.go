package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// judge has the worker look at the last command and returns what came of it so
// far: no outcome means that it is to be read again.
func (w *world) judge(t *testing.T, id string) (state workflows.WithdrawalState, outcome, detail string) {
	t.Helper()
	state, err := w.payouts.ResolveWithdrawal(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, w.Store.Pool.QueryRow(t.Context(), `SELECT coalesce(outcome, ''), coalesce(detail, '')
		FROM withdrawal_resolution WHERE withdrawal_id = $1 ORDER BY id DESC LIMIT 1`, id).Scan(&outcome, &detail))

	return state, outcome, detail
}

// inNameOnly is a withdrawal whose payment is in flight on no channel, old
// enough to be voided.
func (w *world) inNameOnly(t *testing.T) (id string, hash lightning.Hash) {
	t.Helper()
	id, hash = w.lost(t, lightningtest.FailAfter, lightningtest.Phantom())
	w.pass(t, id, 6*time.Minute)

	return id, hash
}

// startedSince has the absence of the HTLC noticed, and lnd started and up for
// long since.
func (w *world) startedSince(t *testing.T, id string) {
	t.Helper()
	w.waits(t, id)
	require.NotNil(t, w.payout(t, id).AbsentSince)
	w.node.Restart()
	w.pass(t, id, 5*time.Minute)
	w.node.SetUp(4 * time.Minute)
	w.node.SetSteady(4 * time.Minute)
}

// In flight in name only: an alert, an operator's void after two readings, and
// whose loss a late success is.
func TestInFlightInNameOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweepPayments(t)
	id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Phantom())
	w.waits(t, id)
	require.Zero(t, w.node.Calls(lightningtest.HTLCsOf), "a fresh payment costs no extra call")
	w.pass(t, id, 6*time.Minute)
	require.Contains(t, w.follow(t, id).Note, "in flight in name only: no channel has its HTLC")
	require.Equal(t, 1, w.node.Calls(lightningtest.HTLCsOf))
	require.Zero(t, w.alerts(t, activities.AlertNoHTLCs))
	w.pass(t, id, 6*time.Minute)
	w.waits(t, id)
	require.Equal(t, 1, w.alerts(t, activities.AlertNoHTLCs))
	w.pass(t, id, 72*time.Hour)
	w.waits(t, id) // Never without an operator.
	outcome, detail := w.resolve(t, id, "void")
	require.Equal(t, "refused", outcome)
	require.Contains(t, detail, "restart lnd")

	w.startedSince(t, id)
	w.waits(t, id) // Nor then.
	w.command(t, id, "void")
	state, outcome, _ := w.judge(t, id)
	require.Empty(t, outcome, "the first reading")
	require.Equal(t, workflows.StepResolve, state.Next)
	require.Equal(t, 15*time.Second, state.NextIn)
	w.pass(t, id, 10*time.Second)
	state, outcome, _ = w.judge(t, id)
	require.Empty(t, outcome, "too soon after it, as whoever nudges comes")
	require.Less(t, state.NextIn, 6*time.Second)
	w.books(t, w.workspace, 0, amount+maxFee)
	w.pass(t, id, 6*time.Second)
	state, outcome, detail = w.judge(t, id)
	require.Equal(t, "applied", outcome, detail)
	require.Equal(t, workflows.StepNone, state.Next)
	w.failed(t, id, payments.FailureNodeError)
	w.books(t, w.workspace, amount+maxFee, 0)
	// From the void on, not from the next sweep on.
	w.refused(t, w.hold(t, request("lnbcrt1atonce", hash)), payments.CodeDuplicatePayment)
	require.Equal(t, 1, w.alerts(t, activities.AlertLatePayment))

	w.sweepPayments(t)
	require.Equal(t, 1, w.alerts(t, activities.AlertLatePayment))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM stray_payment WHERE state = 'open' AND withdrawal_id = $1", id))
	w.refused(t, w.hold(t, request("lnbcrt1again", hash)), payments.CodeDuplicatePayment)
	require.NoError(t, w.node.SettlePayment(hash))
	w.sweepPayments(t)
	w.sweepPayments(t)
	require.EqualValues(t, amount, w.number(t, "SELECT sum(amount_msat) FROM transfer WHERE kind = 'operator_loss_payment'"))
	w.books(t, w.workspace, amount+maxFee, 0)
}

// An HTLC that may be hidden is none that is not there: no alert.
func TestUncertainHTLCs(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(*world, string){
		"a channel is not active": func(w *world, _ string) { w.node.SetChannelsActive(false) },
		"the node does not say":   func(w *world, _ string) { w.node.Inject(lightningtest.HTLCsOf, lightningtest.FailBefore) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.inNameOnly(t)
			w.waits(t, id)
			require.NotNil(t, w.payout(t, id).NoHtlcsSince)
			arrange(w, id)
			w.pass(t, id, 6*time.Minute)
			state := w.follow(t, id)
			require.NotContains(t, state.Note, "in name only")
			require.Nil(t, w.payout(t, id).NoHtlcsSince)
			require.Zero(t, w.alerts(t, activities.AlertNoHTLCs))
		})
	}
}

// What speaks against a void at the first reading.
func TestInNameOnlyRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome lightningtest.Outcome
		age     time.Duration
		arrange func(*world)
		why     string
	}{
		"a channel has it": {lightningtest.Hold(0), time.Hour, nil, "a channel has its HTLC"},
		"too young":        {lightningtest.Phantom(), 150 * time.Second, nil, "too young"},
		"uncertain": {lightningtest.Phantom(), time.Hour, func(w *world) {
			w.node.SetChannelsActive(false)
		}, "a channel may have its HTLC: a channel is not active"},
		"the node does not say": {lightningtest.Phantom(), time.Hour, func(w *world) {
			w.node.Inject(lightningtest.HTLCsOf, lightningtest.FailBefore)
		}, "does not say what its channels hold"},
		"the node is not steady": {lightningtest.Phantom(), time.Hour, func(w *world) {
			w.node.SetSteady(time.Second)
		}, "a send may still be under way"},
		"attempts go on for longer": {lightningtest.Phantom(), 4 * time.Minute, func(w *world) {
			w.payouts.Policy.TimeoutS = 180
		}, "too young"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.lost(t, lightningtest.FailAfter, c.outcome)
			w.pass(t, id, c.age)
			if c.arrange != nil {
				c.arrange(w)
			}
			outcome, detail := w.resolve(t, id, "void")
			require.Equal(t, "refused", outcome)
			require.Contains(t, detail, c.why)
			w.books(t, w.workspace, 0, amount+maxFee)
		})
	}
}

// What happens between the two readings of a command.
func TestInNameOnlyBetweenReadings(t *testing.T) {
	t.Parallel()
	type happens = func(*testing.T, *world, string, lightning.Hash)
	run := func(sql string) happens {
		return func(t *testing.T, w *world, _ string, _ lightning.Hash) { w.exec(t, sql) }
	}
	steady := func(_ *testing.T, w *world, _ string, _ lightning.Hash) { w.node.SetSteady(15500 * time.Millisecond) }
	inactive := func(_ *testing.T, w *world, _ string, _ lightning.Hash) { w.node.SetChannelsActive(false) }
	again := func(_ *testing.T, w *world, _ string, _ lightning.Hash) {
		w.node.Restart()
		w.node.SetSteady(time.Minute)
	}
	paid := func(t *testing.T, w *world, _ string, hash lightning.Hash) {
		require.NoError(t, w.node.SettlePayment(hash))
	}
	for name, c := range map[string]struct {
		happens         happens
		outcome, status string
	}{
		"nothing":               {run("SELECT 1"), "applied", "failed"},
		"the node in trouble":   {steady, "", "following"},
		"a channel goes":        {inactive, "refused", "following"},
		"another send":          {run("UPDATE withdrawal SET finding_sends = 0"), "", "following"},
		"it is paid":            {paid, "refused", "following"},
		"the node back in time": {run("UPDATE node SET regressed_at = now()"), "refused", "following"},
		"lnd is started again":  {again, "refused", "following"},
		"a review":              {run("UPDATE withdrawal SET review_reason = 'test', next_check_at = NULL"), "applied", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, hash := w.inNameOnly(t)
			w.startedSince(t, id)
			w.command(t, id, "void")
			_, outcome, detail := w.judge(t, id)
			require.Empty(t, outcome, detail)
			w.pass(t, id, 16*time.Second)
			c.happens(t, w, id, hash)
			_, outcome, detail = w.judge(t, id)
			require.Equal(t, c.outcome, outcome, detail)
			require.Equal(t, c.status, w.payout(t, id).Status)
		})
	}
}

// Each command reads twice itself: one reading of an earlier one is not enough.
// And a payment under review keeps its reading too.
func TestInNameOnlyEachCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.inNameOnly(t)
	w.startedSince(t, id)
	w.exec(t, "UPDATE withdrawal SET review_reason = 'test', next_check_at = NULL WHERE id = $1", id)
	w.command(t, id, "void")
	_, outcome, _ := w.judge(t, id)
	require.Empty(t, outcome)
	w.node.SetChannelsActive(false)
	_, outcome, _ = w.judge(t, id)
	require.Equal(t, "refused", outcome)
	w.node.SetChannelsActive(true)
	w.pass(t, id, time.Minute)
	w.command(t, id, "void")
	_, outcome, _ = w.judge(t, id)
	require.Empty(t, outcome)
	w.pass(t, id, 16*time.Second)
	_, outcome, detail := w.judge(t, id)
	require.Equal(t, "applied", outcome, detail)
	w.failed(t, id, payments.FailureNodeError)
}
