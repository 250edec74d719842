package lightning

import (
	"context"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/lntpay/lntpay/payments"
)

// receivableMaxAge is how old the answer of ReceivableMsat may be: it is asked
// for each new charge, and ListChannels reads every channel.
const receivableMaxAge = 3 * time.Second

// receivableCache holds the last answer.
type receivableCache struct {
	mu     sync.Mutex
	amount payments.Msat
	at     time.Time
}

// fresh gives the last answer while it is young enough.
func (c *receivableCache) fresh() (payments.Msat, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.amount, !c.at.IsZero() && time.Since(c.at) < receivableMaxAge
}

// set stores an answer as of now.
func (c *receivableCache) set(amount payments.Msat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.amount, c.at = amount, time.Now()
}

// ReceivableMsat implements Node. Callers that ask at the same time share one
// call, which does not end with the first of them.
func (n *lnd) ReceivableMsat(ctx context.Context) (payments.Msat, error) {
	if amount, ok := n.receivable.fresh(); ok {
		return amount, nil
	}
	shared := n.receivableFlight.DoChan("", func() (any, error) {
		return n.readReceivable(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case result := <-shared:
		if result.Err != nil {
			return 0, result.Err
		}

		amount, _ := result.Val.(payments.Msat)

		return amount, nil
	}
}

// readReceivable asks lnd.
func (n *lnd) readReceivable(ctx context.Context) (payments.Msat, error) {
	var answer *lnrpc.ListChannelsResponse
	err := n.call(withAdvice(ctx), callTimeout, func(ctx context.Context, lnd stubs) (err error) {
		answer, err = lnd.lightning.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true})

		return err
	})
	if err != nil {
		return 0, n.unknown("ListChannels", err)
	}
	amount := receivable(answer.Channels)
	n.receivable.set(amount)

	return amount, nil
}

// receivable sums what the peers could send: their balance without the
// reserve that they must keep ("the minimum satoshis this node is required to
// reserve in its balance", lightning.proto ChannelConstraints; the remote's own
// are remote_constraints). A peer that opened the channel also pays for the
// HTLC's place in the commitment transaction, so the last few thousand
// satoshis may not move; and one payment may need several channels.
func receivable(channels []*lnrpc.Channel) payments.Msat {
	var sats int64
	for _, channel := range channels {
		spendable := channel.RemoteBalance - int64(channel.GetRemoteConstraints().GetChanReserveSat())
		if channel.Active && spendable > 0 {
			sats += spendable
		}
	}

	return payments.Msat(sats) * payments.MsatPerSat
}
