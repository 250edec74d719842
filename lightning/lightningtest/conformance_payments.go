package lightningtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// holdPatience ends the wait for a payment that is held.
const holdPatience = 3 * time.Second

// order is a request without a routing fee.
func order(bolt11 string) lightning.SendRequest {
	return lightning.SendRequest{Bolt11: bolt11, CLTVLimit: 1008, Timeout: time.Minute, MaxParts: 16}
}

// send pays to the end.
func (s Subject) send(t *testing.T, bolt11 string) lightning.Payment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last, err := s.Node.SendPayment(ctx, order(bolt11))
	require.NoError(t, err)
	require.NotNil(t, last)

	return *last
}

// sent is a payment that succeeded.
func (s Subject) sent(t *testing.T) lightning.Payment {
	t.Helper()
	bolt11, err := s.Recipient.Invoice(t.Context(), amount)
	require.NoError(t, err)
	payment := s.send(t, bolt11)
	require.Equal(t, lightning.PaymentSucceeded, payment.State, payment.Reason)

	return payment
}

// track reads a payment.
func (s Subject) track(t *testing.T, hash lightning.Hash) lightning.Payment {
	t.Helper()
	payment, err := s.Node.TrackPayment(t.Context(), hash)
	require.NoError(t, err)

	return payment
}

// stranger makes a regtest or other invoice of somebody whom nobody knows.
func stranger(t *testing.T, params *chaincfg.Params, created time.Time) string {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	bolt11, err := encode(params, key, lightning.NewInvoice{
		Preimage: preimage(t), AmountMsat: amount, Expiry: time.Hour,
	}, created)
	require.NoError(t, err)

	return bolt11
}

func testSend(t *testing.T, s Subject) {
	bolt11, err := s.Recipient.Invoice(t.Context(), amount)
	require.NoError(t, err)
	payment := s.send(t, bolt11)
	require.Equal(t, lightning.PaymentSucceeded, payment.State, payment.Reason)
	require.Equal(t, payment.PaymentHash, payment.Preimage.Hash())
	require.Equal(t, amount, payment.ValueMsat)
	require.Zero(t, payment.FeeMsat)
	require.NotZero(t, payment.Index)
	require.WithinDuration(t, time.Now(), time.Unix(0, payment.CreatedNS), patience)
	require.Equal(t, 1, payment.Attempts)
	require.Zero(t, payment.Pending)
	require.Zero(t, payment.ExpiryHeight)
	require.Empty(t, payment.Reason)
	require.Equal(t, payment, s.track(t, payment.PaymentHash))

	last, err := s.Node.SendPayment(t.Context(), order(bolt11))
	require.ErrorIs(t, err, lightning.ErrPaymentExists, "a second time")
	require.Nil(t, last)
	require.Equal(t, payment, s.track(t, payment.PaymentHash))
}

func testSendAmountless(t *testing.T, s Subject) {
	bolt11, err := s.Recipient.Invoice(t.Context(), 0)
	require.NoError(t, err)
	request := order(bolt11)
	_, err = s.Node.SendPayment(t.Context(), request)
	require.ErrorIs(t, err, lightning.ErrPaymentRefused, "how much?")
	request.AmountMsat = amount + 1
	payment, err := s.Node.SendPayment(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentSucceeded, payment.State)
	require.Equal(t, amount+1, payment.ValueMsat)
}

func testSendNoRoute(t *testing.T, s Subject) {
	payment := s.send(t, stranger(t, &chaincfg.RegressionNetParams, time.Now()))
	require.Equal(t, lightning.PaymentFailed, payment.State)
	require.Equal(t, lightning.ReasonNoRoute, payment.Reason)
	require.Zero(t, payment.Preimage)
	require.Zero(t, payment.Attempts)
	require.Equal(t, payment, s.track(t, payment.PaymentHash))
}

func testSendRefused(t *testing.T, s Subject) {
	fixed, err := s.Recipient.Invoice(t.Context(), amount)
	require.NoError(t, err)
	withAmount, negative, tight := order(fixed), order(fixed), order(fixed)
	withAmount.AmountMsat, negative.FeeLimitMsat, tight.CLTVLimit = amount, -1, 10
	long := order(fixed)
	long.CLTVLimit = 100_000
	for name, request := range map[string]lightning.SendRequest{
		"expired":              order(stranger(t, &chaincfg.RegressionNetParams, time.Now().Add(-2*time.Hour))),
		"another network":      order(stranger(t, &chaincfg.MainNetParams, time.Now())),
		"not an invoice":       order("lnbcrt1nonsense"),
		"itself":               order(s.add(t).Bolt11),
		"amount twice":         withAmount,
		"negative fee limit":   negative,
		"CLTV limit too low":   tight,
		"CLTV limit above max": long,
	} {
		last, err := s.Node.SendPayment(t.Context(), request)
		require.ErrorIs(t, err, lightning.ErrPaymentRefused, name)
		require.Nil(t, last)
	}
	require.Equal(t, lightning.PaymentSucceeded, s.send(t, fixed).State, "none of it was recorded")
}

// testSendAgain: a failed payment makes way for another of its hash, which is
// told apart by index and time together.
func testSendAgain(t *testing.T, s Subject) {
	bolt11 := stranger(t, &chaincfg.RegressionNetParams, time.Now())
	first, second := s.send(t, bolt11), s.send(t, bolt11)
	require.Equal(t, first.PaymentHash, second.PaymentHash)
	require.Greater(t, second.CreatedNS, first.CreatedNS)
	if s.NativeSQL {
		require.Equal(t, first.Index, second.Index, "SQLite gives it again")
	} else {
		require.Greater(t, second.Index, first.Index)
	}
	require.Equal(t, second, s.track(t, first.PaymentHash), "the first is gone")
	// More were recorded since, so that the index must be another.
	s.sent(t)
	third := s.send(t, bolt11)
	require.Greater(t, third.Index, second.Index)
	for _, listed := range s.payments(t, 0, 100) {
		require.NotEqual(t, first.CreatedNS, listed.CreatedNS)
		require.NotEqual(t, second.CreatedNS, listed.CreatedNS)
	}
}

// hold starts a payment that is held, and waits until it is out.
func (s Subject) hold(t *testing.T, p lightning.Preimage) (bolt11 string, end <-chan lightning.Payment) {
	t.Helper()
	bolt11, err := s.Recipient.HoldInvoice(t.Context(), p, amount)
	require.NoError(t, err)
	ended := make(chan lightning.Payment, 1)
	go func() {
		last, err := s.Node.SendPayment(t.Context(), order(bolt11))
		if err != nil || last == nil {
			t.Errorf("send: %v", err)
			last = &lightning.Payment{}
		}
		ended <- *last
	}()
	require.Eventually(t, func() bool {
		found, err := s.Node.TrackPayment(t.Context(), p.Hash())

		return err == nil && found.Pending > 0
	}, patience, 20*time.Millisecond)
	held := s.track(t, p.Hash())
	require.Equal(t, lightning.PaymentInFlight, held.State)
	require.Equal(t, 1, held.Pending)
	require.NotZero(t, held.ExpiryHeight)
	require.Zero(t, held.Preimage)
	require.Zero(t, held.Reason)
	last, err := s.Node.SendPayment(t.Context(), order(bolt11))
	require.ErrorIs(t, err, lightning.ErrPaymentExists, "while it is in flight")
	require.Nil(t, last)

	return bolt11, ended
}

// wait reads the end of a held payment.
func wait(t *testing.T, end <-chan lightning.Payment) lightning.Payment {
	t.Helper()
	select {
	case payment := <-end:
		return payment
	case <-time.After(patience):
		t.Fatal("the payment does not end")

		return lightning.Payment{}
	}
}

func testSendHeldSettled(t *testing.T, s Subject) {
	p := preimage(t)
	_, end := s.hold(t, p)
	require.NoError(t, s.Recipient.Settle(t.Context(), p))
	payment := wait(t, end)
	require.Equal(t, lightning.PaymentSucceeded, payment.State)
	require.Equal(t, p, payment.Preimage)
	require.Zero(t, payment.Pending)
	require.Equal(t, payment, s.track(t, p.Hash()))
}

func testSendHeldCancelled(t *testing.T, s Subject) {
	p := preimage(t)
	bolt11, end := s.hold(t, p)
	require.NoError(t, s.Recipient.Cancel(t.Context(), p))
	payment := wait(t, end)
	require.Equal(t, lightning.PaymentFailed, payment.State)
	require.Equal(t, lightning.ReasonIncorrectDetails, payment.Reason)
	require.Zero(t, payment.Pending)
	require.Zero(t, payment.ExpiryHeight)
	again := s.send(t, bolt11)
	require.Equal(t, lightning.ReasonIncorrectDetails, again.Reason, "lnd sends the same hash again")
	require.NotEqual(t, payment.CreatedNS, again.CreatedNS)
}

// testSendContextEnds: the payment lives longer than its stream.
func testSendContextEnds(t *testing.T, s Subject) {
	p := preimage(t)
	bolt11, err := s.Recipient.HoldInvoice(t.Context(), p, amount)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), holdPatience)
	defer cancel()
	last, err := s.Node.SendPayment(ctx, order(bolt11))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotNil(t, last)
	require.Equal(t, lightning.PaymentInFlight, last.State)
	require.Equal(t, last.Index, s.track(t, p.Hash()).Index)
	require.NoError(t, s.Recipient.Settle(t.Context(), p))
	require.Eventually(t, func() bool {
		found, err := s.Node.TrackPayment(t.Context(), p.Hash())

		return err == nil && found.State == lightning.PaymentSucceeded
	}, patience, 20*time.Millisecond)

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = s.Node.SendPayment(ended, order(stranger(t, &chaincfg.RegressionNetParams, time.Now())))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Node.TrackPayment(ended, p.Hash())
	require.ErrorIs(t, err, context.Canceled)
}

// testHTLCs: a channel has the HTLC of a payment that is held, and of no other.
func testHTLCs(t *testing.T, s Subject) {
	unknown := preimage(t).Hash()
	require.Eventually(t, func() bool {
		htlcs, err := s.Node.HTLCsOf(t.Context(), unknown)

		return err == nil && htlcs.Certain && !htlcs.Found
	}, patience, 20*time.Millisecond, "its channels are active again some time after a restart")
	up, err := s.Node.ComingUp(t.Context())
	require.NoError(t, err)
	require.False(t, up, "its channels are there")
	p := preimage(t)
	_, end := s.hold(t, p)
	found := func(want bool) func() bool {
		return func() bool {
			held, err := s.Node.HTLCsOf(t.Context(), p.Hash())

			return err == nil && held.Certain && held.Found == want
		}
	}
	// The record of the attempt is older than the HTLC in the channel.
	require.Eventually(t, found(true), patience, 20*time.Millisecond)
	require.NoError(t, s.Recipient.Settle(t.Context(), p))
	require.Equal(t, lightning.PaymentSucceeded, wait(t, end).State)
	require.Eventually(t, found(false), patience, 20*time.Millisecond)
}

func testTrackUnknown(t *testing.T, s Subject) {
	_, err := s.Node.TrackPayment(t.Context(), preimage(t).Hash())
	require.ErrorIs(t, err, lightning.ErrPaymentNotFound)
}

// payments lists what is above an index.
func (s Subject) payments(t *testing.T, after, size uint64) (all []lightning.Payment) {
	t.Helper()
	require.NoError(t, s.Node.ListPayments(t.Context(), after, size, func(page []lightning.Payment) error {
		require.NotEmpty(t, page)
		require.LessOrEqual(t, uint64(len(page)), size)
		all = append(all, page...)

		return nil
	}))

	return all
}

func testListPayments(t *testing.T, s Subject) {
	before := s.sent(t)
	p := preimage(t)
	var want []lightning.Payment
	want = append(want, s.send(t, stranger(t, &chaincfg.RegressionNetParams, time.Now())))
	_, end := s.hold(t, p)
	want = append(want, s.track(t, p.Hash()), s.sent(t), s.sent(t))
	for _, size := range []uint64{1, 2, 3, 100} {
		require.Equal(t, want, s.payments(t, before.Index, size), "failed and held ones too")
	}
	require.Equal(t, want[2:], s.payments(t, want[1].Index, 2))
	require.Empty(t, s.payments(t, want[3].Index, 2))
	all := s.payments(t, 0, 3)
	require.Equal(t, want, all[len(all)-4:])

	stop := errors.New("stop")
	require.ErrorIs(t, s.Node.ListPayments(t.Context(), 0, 1, func([]lightning.Payment) error { return stop }), stop)
	require.NoError(t, s.Recipient.Cancel(t.Context(), p))
	wait(t, end)
}

// testPaymentStream: lnd may register a subscription a moment after onOpen, so
// the first payment may be missed.
func testPaymentStream(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, opened := make(chan lightning.Payment, 1000), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- s.Node.SubscribePayments(ctx, func() { close(opened) }, func(payment lightning.Payment) error {
			events <- payment

			return nil
		})
	}()
	<-opened
	require.Eventually(t, func() bool {
		want := s.sent(t)
		timeout := time.After(time.Second)
		for {
			select {
			case got := <-events:
				if got.PaymentHash == want.PaymentHash && got.State == want.State {
					require.Equal(t, want, got)

					return true
				}
			case <-timeout:
				return false
			}
		}
	}, patience, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func testEstimate(t *testing.T, s Subject) {
	bolt11, err := s.Recipient.Invoice(t.Context(), 0)
	require.NoError(t, err)
	request := lightning.RouteRequest{Bolt11: bolt11, AmountMsat: amount, CLTVLimit: 1008}
	fee, err := s.Node.EstimateFee(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, payments.Msat(0), fee)
	request.Bolt11 = stranger(t, &chaincfg.RegressionNetParams, time.Now())
	_, err = s.Node.EstimateFee(t.Context(), request)
	require.ErrorIs(t, err, lightning.ErrNoRoute)
	request.Bolt11 = stranger(t, &chaincfg.MainNetParams, time.Now())
	_, err = s.Node.EstimateFee(t.Context(), request)
	require.Error(t, err)
	require.NotErrorIs(t, err, lightning.ErrNoRoute)
}

func testHighestPayment(t *testing.T, s Subject) {
	for _, want := range []lightning.Payment{
		s.sent(t), s.send(t, stranger(t, &chaincfg.RegressionNetParams, time.Now())),
	} {
		highest, err := s.Node.HighestIndexes(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, highest.Payment, want.Index)
	}
	last := s.sent(t)
	highest, err := s.Node.HighestIndexes(t.Context())
	require.NoError(t, err)
	require.Equal(t, last.Index, highest.Payment)
}

// testSteady: whatever is concluded from "no such payment" waits for a node
// that has been up for a while.
func testSteady(t *testing.T, s Subject) {
	require.NoError(t, s.Node.Ready(t.Context()))
	require.Eventually(t, func() bool {
		_, err := s.Node.TrackPayment(t.Context(), preimage(t).Hash())

		return errors.Is(err, lightning.ErrPaymentNotFound) && s.Node.SteadyFor() > 0
	}, patience, 20*time.Millisecond, "an answer of lnd is a good one, NotFound too")
	began := time.Now()
	require.NoError(t, s.Restart(t.Context()))
	require.Eventually(t, func() bool { return s.Node.Ready(t.Context()) == nil }, patience, 50*time.Millisecond)
	require.Less(t, s.Node.SteadyFor(), time.Since(began))
	require.Eventually(t, func() bool {
		htlcs, err := s.Node.HTLCsOf(t.Context(), preimage(t).Hash())

		return err == nil && htlcs.Up > 0 && htlcs.Up < time.Since(began)
	}, patience, 50*time.Millisecond, "it tells for how long it has run")
}
