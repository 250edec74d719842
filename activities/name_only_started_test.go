package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/workflows"
)

// What looks like in flight in name only has been paid: its HTLC was settled on
// the channel and lnd failed to record it. No operator can void it before lnd is
// started, and that start says what it was.
func TestPaidAndNotRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Unrecorded(7))
	w.pass(t, id, time.Hour)
	for range 3 {
		outcome, detail := w.resolve(t, id, "void")
		require.Equal(t, "refused", outcome)
		require.Contains(t, detail, "restart lnd, and try again when it has run for 3m0s")
		w.pass(t, id, time.Hour)
		w.waits(t, id)
	}
	w.node.Restart()
	w.follow(t, id)
	w.succeeded(t, id, 7)
	w.books(t, w.workspace, maxFee-7, 0)
}

// A start of lnd proves something only if it came after the HTLC was gone: what
// ran before may have met it on its channel, and failed to record its end.
func TestStartedSinceAbsence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		up, absent time.Duration
		why        string
	}{
		"started before":         {30 * time.Minute, 29 * time.Minute, "restart lnd"},
		"at the same time":       {30 * time.Minute, 30*time.Minute + 3*time.Second, "restart lnd"},
		"started after":          {30 * time.Minute, 31 * time.Minute, ""},
		"started a moment ago":   {2 * time.Minute, 31 * time.Minute, "try again in 1m0s"},
		"starting":               {0, 31 * time.Minute, "try again in 3m0s"},
		"absence never noticed":  {30 * time.Minute, 0, "restart lnd"},
		"absence just after it":  {4 * time.Minute, 4 * time.Minute, "restart lnd"},
		"absence well before it": {4 * time.Minute, 4*time.Minute + 10*time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Phantom())
			w.pass(t, id, time.Hour)
			w.waits(t, id)
			w.exec(t, "UPDATE withdrawal SET absent_since = now() - make_interval(secs => $2) WHERE id = $1", id, c.absent.Seconds())
			if c.absent == 0 {
				w.exec(t, "UPDATE withdrawal SET absent_since = NULL WHERE id = $1", id)
			}
			w.node.SetUp(c.up)
			w.command(t, id, "void")
			state, outcome, detail := w.judge(t, id)
			require.NotNil(t, w.payout(t, id).AbsentSince, "the command notes it too")
			if c.why == "" {
				require.Empty(t, outcome, detail)
				require.Equal(t, workflows.StepResolve, state.Next)

				return
			}
			require.Equal(t, "refused", outcome)
			require.Contains(t, detail, c.why)
		})
	}
}

// When the absence was first certain stands while nobody can say otherwise, as
// when lnd is started, and goes with an HTLC, another send or another record.
func TestAbsenceIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Phantom())
	w.pass(t, id, 4*time.Minute)
	w.waits(t, id)
	require.Nil(t, w.payout(t, id).AbsentSince, "an HTLC may still come")
	w.pass(t, id, 6*time.Minute)
	w.waits(t, id)
	since := w.payout(t, id).AbsentSince
	require.NotNil(t, since)
	w.node.SetUnavailable(true)
	w.waits(t, id)
	w.node.SetUnavailable(false)
	w.node.SetSteady(time.Hour)
	w.node.SetChannelsActive(false)
	w.waits(t, id)
	w.node.SetChannelsActive(true)
	w.node.Inject(lightningtest.HTLCsOf, lightningtest.FailBefore)
	w.waits(t, id)
	w.waits(t, id)
	require.Equal(t, since, w.payout(t, id).AbsentSince)
	w.node.ForgetPayment(hash)
	w.waits(t, id)
	require.Nil(t, w.payout(t, id).AbsentSince, "no such payment")

	w = newWorld(t)
	held, _ := w.lost(t, lightningtest.FailAfter, lightningtest.Hold(0))
	w.pass(t, held, 6*time.Minute)
	w.exec(t, "UPDATE withdrawal SET absent_since = now() WHERE id = $1", held)
	w.follow(t, held)
	require.Nil(t, w.payout(t, held).AbsentSince, "a channel has it")
	w.exec(t, "UPDATE withdrawal SET absent_since = now() WHERE id = $1", held)
	outcome, _ := w.resolve(t, held, "void")
	require.Equal(t, "refused", outcome)
	require.Nil(t, w.payout(t, held).AbsentSince, "a command sees that too")

	w = newWorld(t)
	again, _ := w.lost(t, lightningtest.FailBefore, lightningtest.Hold(0))
	w.exec(t, "UPDATE withdrawal SET absent_since = now() WHERE id = $1", again)
	w.send(t, again)
	require.Nil(t, w.payout(t, again).AbsentSince, "another send")
}
