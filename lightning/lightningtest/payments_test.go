package lightningtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
)

// send pays with a fee limit of 1 sat and gives up after a moment.
func send(t *testing.T, node *lightningtest.Node, bolt11 string) (*lightning.Payment, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()

	return node.SendPayment(ctx, lightning.SendRequest{Bolt11: bolt11, FeeLimitMsat: 1000, Timeout: time.Minute})
}

func TestScriptedPayments(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcome lightningtest.Outcome
		state   lightning.PaymentState
		reason  lightning.FailureReason
		pending int
		err     error
	}{
		"succeed":       {lightningtest.Succeed(1000), lightning.PaymentSucceeded, "", 0, nil},
		"fee too high":  {lightningtest.Succeed(1001), lightning.PaymentFailed, lightning.ReasonNoRoute, 0, nil},
		"fail":          {lightningtest.Fail(lightning.ReasonTimeout), lightning.PaymentFailed, lightning.ReasonTimeout, 0, nil},
		"hold":          {lightningtest.Hold(1), lightning.PaymentInFlight, "", 1, context.DeadlineExceeded},
		"stick":         {lightningtest.Stick(), lightning.PaymentInFlight, "", 0, context.DeadlineExceeded},
		"hold too dear": {lightningtest.Hold(1001), lightning.PaymentFailed, lightning.ReasonNoRoute, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := lightningtest.New("fake")
			bolt11, preimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(test.outcome))
			last, err := send(t, node, bolt11)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.state, last.State)
			require.Equal(t, test.reason, last.Reason)
			require.Equal(t, test.pending, last.Pending)
			require.Equal(t, test.pending > 0, last.ExpiryHeight > 0)
			require.Equal(t, test.state == lightning.PaymentSucceeded, last.Preimage == preimage)
			tracked, err := node.TrackPayment(t.Context(), preimage.Hash())
			require.NoError(t, err)
			require.Equal(t, *last, tracked)
			require.Equal(t, 1, node.Initiations(preimage.Hash()))
		})
	}
}

func TestHeldPaymentEnds(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	ends := map[lightning.PaymentState]func(lightning.Hash) error{
		lightning.PaymentSucceeded: node.SettlePayment,
		lightning.PaymentFailed: func(hash lightning.Hash) error {
			return node.FailPayment(hash, lightning.ReasonIncorrectDetails)
		},
	}
	for state, end := range ends {
		bolt11, preimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(lightningtest.Hold(7)))
		_, err := send(t, node, bolt11)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = send(t, node, bolt11)
		require.ErrorIs(t, err, lightning.ErrPaymentExists)
		require.NoError(t, end(preimage.Hash()))
		require.Error(t, end(preimage.Hash()), "once")
		ended, err := node.TrackPayment(t.Context(), preimage.Hash())
		require.NoError(t, err)
		require.Equal(t, state, ended.State)
	}
}

func TestStuckPaymentEndsWithRestart(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(lightningtest.Stick()))
	_, err := send(t, node, bolt11)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, lightningtest.DefaultSteady, node.SteadyFor())
	node.Restart()
	require.Zero(t, node.SteadyFor())
	ended, err := node.TrackPayment(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentFailed, ended.State)
}

func TestBrokenStreamEndsSend(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(lightningtest.Hold(0)))
	ended := make(chan error, 1)
	go func() {
		_, err := node.SendPayment(context.Background(), lightning.SendRequest{Bolt11: bolt11})
		ended <- err
	}()
	require.Eventually(t, func() bool { return node.Initiations(preimage.Hash()) == 1 }, time.Minute, time.Millisecond)
	node.BreakStreams()
	require.ErrorIs(t, <-ended, lightningtest.ErrLost)
}

func TestSendFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault lightningtest.Fault
		err   error
		// now and later are how often the payment was begun before and after
		// ReleaseSends.
		now, later int
	}{
		"fail before":  {lightningtest.FailBefore, lightningtest.ErrLost, 0, 0},
		"fail after":   {lightningtest.FailAfter, lightningtest.ErrLost, 1, 1},
		"hang before":  {lightningtest.HangBefore, context.DeadlineExceeded, 0, 0},
		"hang after":   {lightningtest.HangAfter, context.DeadlineExceeded, 1, 1},
		"fail delayed": {lightningtest.FailDelayed, lightningtest.ErrLost, 0, 1},
		"hang delayed": {lightningtest.HangDelayed, context.DeadlineExceeded, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := lightningtest.New("fake")
			bolt11, preimage := node.OutsideInvoice(5000, time.Hour)
			node.Inject(lightningtest.SendPayment, test.fault)
			last, err := send(t, node, bolt11)
			require.ErrorIs(t, err, test.err)
			require.Nil(t, last)
			require.Equal(t, test.now, node.Initiations(preimage.Hash()))
			require.Equal(t, test.later-test.now, node.ReleaseSends())
			require.Equal(t, test.later, node.Initiations(preimage.Hash()))
			_, err = node.TrackPayment(t.Context(), preimage.Hash())
			if test.later == 0 {
				require.ErrorIs(t, err, lightning.ErrPaymentNotFound)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// TestLinkedNodesPayEachOther at the same time, so that a lock held across
// both would be noticed.
func TestLinkedNodesPayEachOther(t *testing.T) {
	t.Parallel()
	a, b := lightningtest.New("a"), lightningtest.New("b")
	a.Link(b)
	b.Link(a)
	done := make(chan error)
	pay := func(from, to *lightningtest.Node, number byte) {
		invoice, err := add(t, to, number)
		if err == nil {
			var last *lightning.Payment
			last, err = from.SendPayment(t.Context(), lightning.SendRequest{Bolt11: invoice.Bolt11})
			if err == nil && last.Preimage != (lightning.Preimage{number}) {
				t.Errorf("%s: %s", last.State, last.Reason)
			}
		}
		done <- err
	}
	for number := range byte(20) {
		go pay(a, b, 2*number+1)
		go pay(b, a, 2*number+2)
	}
	for range 40 {
		require.NoError(t, <-done)
	}
	own, err := add(t, a, 100)
	require.NoError(t, err)
	_, err = a.SendPayment(t.Context(), lightning.SendRequest{Bolt11: own.Bolt11})
	require.ErrorIs(t, err, lightning.ErrPaymentRefused, "itself")
}

func TestSendFollowsTheClock(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, _ := node.OutsideInvoice(5000, time.Minute)
	node.SetNow(func() time.Time { return time.Now().Add(2 * time.Minute) })
	_, err := send(t, node, bolt11)
	require.ErrorIs(t, err, lightning.ErrPaymentRefused)
	bolt11, _ = node.OutsideInvoice(5000, time.Minute, lightningtest.OnNetwork(&chaincfg.MainNetParams))
	_, err = send(t, node, bolt11)
	require.ErrorIs(t, err, lightning.ErrPaymentRefused)
}

func TestScriptInOrder(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour)
	node.Script(preimage.Hash(), lightningtest.Fail(lightning.ReasonNoRoute), lightningtest.Succeed(3))
	first, err := send(t, node, bolt11)
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentFailed, first.State)
	second, err := send(t, node, bolt11)
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentSucceeded, second.State)
	require.Greater(t, second.Index, first.Index)
}

// In flight in name only: lnd's record has an HTLC, and no channel has.
func TestPhantom(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(lightningtest.Phantom()))
	_, err := send(t, node, bolt11)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	node.Restart()
	node.Restore(node.Snapshot())
	found, err := node.TrackPayment(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentInFlight, found.State)
	require.Equal(t, 1, found.Pending)
	htlcs, err := node.HTLCsOf(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.True(t, htlcs.Certain)
	require.False(t, htlcs.Found)
	require.Less(t, htlcs.Up, time.Minute, "it was restarted")
	node.SetUp(time.Hour)
	htlcs, err = node.HTLCsOf(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, time.Hour, htlcs.Up)
	node.SetChannelsActive(false)
	htlcs, err = node.HTLCsOf(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.False(t, htlcs.Certain)
	require.NotEmpty(t, htlcs.Why)
	node.SetChannelsActive(true)
	require.NoError(t, node.SettlePayment(preimage.Hash()))
}

// Paid, and lnd says so when it is started again.
func TestUnrecorded(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(lightningtest.Unrecorded(3)))
	_, err := send(t, node, bolt11)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	node.Restore(node.Snapshot())
	htlcs, err := node.HTLCsOf(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.False(t, htlcs.Found)
	found, err := node.TrackPayment(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentInFlight, found.State)
	node.Restart()
	found, err = node.TrackPayment(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentSucceeded, found.State)
	require.Equal(t, preimage, found.Preimage)
	require.EqualValues(t, 3, found.FeeMsat)
}

func TestRestoreForgetsPayments(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	held, heldPreimage := node.OutsideInvoice(5000, time.Hour, lightningtest.ThatWill(lightningtest.Hold(0)))
	_, err := send(t, node, held)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	past := node.Snapshot()
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour)
	_, err = send(t, node, bolt11)
	require.NoError(t, err)
	require.NoError(t, node.SettlePayment(heldPreimage.Hash()))
	node.Restore(past)
	_, err = node.TrackPayment(t.Context(), preimage.Hash())
	require.ErrorIs(t, err, lightning.ErrPaymentNotFound)
	again, err := node.TrackPayment(t.Context(), heldPreimage.Hash())
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentInFlight, again.State)
	highest, err := node.HighestIndexes(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, highest.Payment)
	require.Equal(t, 1, node.Initiations(preimage.Hash()))
}

func TestForeignPayment(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	bolt11, preimage := node.OutsideInvoice(5000, time.Hour)
	foreign := node.ForeignPayment(preimage.Hash(), lightning.PaymentInFlight, 5000, 1)
	_, err := send(t, node, bolt11)
	require.ErrorIs(t, err, lightning.ErrPaymentExists)
	require.NoError(t, node.SettlePayment(preimage.Hash()))
	found, err := node.TrackPayment(t.Context(), preimage.Hash())
	require.NoError(t, err)
	require.Equal(t, preimage, found.Preimage)
	require.Equal(t, foreign.Index, found.Index)
	require.Zero(t, node.Initiations(preimage.Hash()))
}
