package load

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/regtest"
)

const (
	// channelsWithin bounds the wait for the payer's channels. One may never come
	// back: see judge.
	channelsWithin = 2 * time.Minute
	// leftWithin is for what a payer has left: an HTLC that waits for a link is
	// failed by lnd's switch after a minute, and only then tried again.
	leftWithin = 90 * time.Second
)

// unpaid is a charge that a payer left, and why.
type unpaid struct {
	charge ChargeObject
	why    error
}

// payLeft pays what was left, once the payer's channels are up: how long one
// waits for a channel says nothing about the product.
func (l *Load) payLeft(t *testing.T) {
	t.Helper()
	if len(l.left) == 0 {
		return
	}
	waited := l.payer.awaitChannels(t)
	t.Logf("%d charges were left, for one: %v; the payer's channels were up %s after the load", len(l.left), l.left[0].why,
		waited.Round(time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), leftWithin)
	defer cancel()
	again := make([]error, len(l.left))
	var group sync.WaitGroup
	for i, one := range l.left {
		group.Go(func() { again[i] = l.w.Settle(ctx, l.payer, one.charge) })
	}
	group.Wait()
	channels, err := l.payer.lightning.ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
	require.NoError(t, err)
	settled := Settled(t, l.merchant)
	for i, one := range l.left {
		if again[i] != nil {
			_, received := settled[one.charge.PaymentHash]
			l.judge(t, one, again[i], channels.Channels, received)
		}
	}
	require.False(t, t.Failed(), "charges that were never paid")
}

// judge excuses what is lnd's own fault, and says so: a payment in flight in name
// only, which no channel holds, because lnd stopped between noting and sending
// it; one that a channel holds which lnd cannot bring up again; and one that the
// merchant's node has settled and, killed before its HTLC was, failed
// (InvalidOnionVersion, lnd 0.21.2): its payer has paid nothing and can pay no
// more. Any other reason fails the test.
func (l *Load) judge(t *testing.T, one unpaid, again error, channels []*lnrpc.Channel, received bool) {
	t.Helper()
	payment, err := l.payer.find(t.Context(), one.charge)
	if err == nil && received && payment.FailureReason == lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS {
		l.excuse(t, one, "the merchant's node has settled it and failed its HTLC")

		return
	}
	if err == nil && payment.Status == lnrpc.Payment_IN_FLIGHT {
		switch channel := holder(channels, one.charge); {
		case channel == nil:
			l.excuse(t, one, "in flight in name only: no channel of the payer's holds it")

			return
		case !channel.Active:
			l.excuse(t, one, fmt.Sprintf("on channel %d, which lnd cannot bring up", channel.ChanId))

			return
		}
	}
	t.Errorf("never paid, during the load: %v; with all channels up: %v; the payer's node says %s %s, %v", one.why, again,
		payment.GetStatus(), payment.GetFailureReason(), err)
}

// excuse reports what a run passes without.
func (l *Load) excuse(t *testing.T, one unpaid, why string) {
	t.Helper()
	line := fmt.Sprintf("%s: that %s is paid: %s", t.Name(), one.charge.ID, why)
	t.Log(regtest.NotProven + line)
	require.NoError(t, regtest.ReportNotProven(line))
}

// holder is the channel that holds the HTLC of a charge; nil if none does.
func holder(channels []*lnrpc.Channel, charge ChargeObject) *lnrpc.Channel {
	for _, channel := range channels {
		for _, htlc := range channel.PendingHtlcs {
			if hex.EncodeToString(htlc.HashLock) == charge.PaymentHash {
				return channel
			}
		}
	}

	return nil
}

// awaitChannels waits until all channels of the payer are active, if that comes
// to pass, and says how long it took. A payer without any is of no use.
func (p *Payer) awaitChannels(t *testing.T) time.Duration {
	t.Helper()
	active, all := 0, 1
	began := time.Now()
	for ; active < all && time.Since(began) < channelsWithin; Pause(t, 4*Poll, nil) {
		channels, err := p.lightning.ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
		require.NoError(t, err)
		active, all = 0, max(1, len(channels.Channels))
		for _, channel := range channels.Channels {
			if channel.Active {
				active++
			}
		}
	}
	require.NotZero(t, active, "no channel of the payer's came back")

	return time.Since(began)
}

// find is what the payer's node has of a charge.
func (p *Payer) find(ctx context.Context, charge ChargeObject) (*lnrpc.Payment, error) {
	payments, err := p.lightning.ListPayments(ctx, &lnrpc.ListPaymentsRequest{IncludeIncomplete: true, Reversed: true, MaxPayments: 10_000})
	if err != nil {
		return nil, err
	}
	for _, payment := range payments.Payments {
		if payment.PaymentHash == charge.PaymentHash {
			return payment, nil
		}
	}

	return nil, fmt.Errorf("it has no payment of %s", charge.PaymentHash)
}
