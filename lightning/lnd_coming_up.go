package lightning

import (
	"context"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
)

// comingUpFor is how long lnd is given to have its channels back after a
// start. It answers calls before its peers are connected, and a peer that is
// not there by then is gone for another reason than the start.
const comingUpFor = time.Minute

// ComingUp implements Node. What it fails with says nothing about payments.
func (n *lnd) ComingUp(ctx context.Context) (bool, error) {
	if n.SteadyFor() >= comingUpFor {
		return false, nil
	}
	var answer *lnrpc.ListChannelsResponse
	err := n.call(withAdvice(ctx), callTimeout, func(ctx context.Context, lnd stubs) (err error) {
		answer, err = lnd.lightning.ListChannels(ctx, &lnrpc.ListChannelsRequest{InactiveOnly: true})

		return err
	})
	if err != nil {
		return false, n.unknown("ListChannels", err)
	}

	return comingUp(answer.Channels), nil
}

// comingUp reports whether a channel may be inactive only because lnd has just
// started. Its lifetime counts from there: "Scores are currently not persisted,
// so this value may be less than the lifetime of the channel" (lightning.proto,
// Channel.lifetime; chanfitness/chaneventstore.go, Start).
func comingUp(channels []*lnrpc.Channel) bool {
	for _, channel := range channels {
		if !channel.Active && time.Duration(channel.Lifetime)*time.Second < comingUpFor {
			return true
		}
	}

	return false
}
