package lightning

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
)

// HTLCsOf implements Node. ListChannels shows the local commitment only
// (rpcserver.go, createRPCOpenChannel): an HTLC on its way into it is not seen,
// nor one that a link, which is down, has to send again. PendingChannels is
// asked second, so that a channel that leaves the one list is in the other.
func (n *lnd) HTLCsOf(ctx context.Context, hash Hash) (HTLCs, error) {
	var open *lnrpc.ListChannelsResponse
	var closing *lnrpc.PendingChannelsResponse
	call := "ListChannels"
	err := n.spend(withAdvice(ctx), callTimeout, func(ctx context.Context, client lnrpc.LightningClient) (err error) {
		if open, err = client.ListChannels(ctx, &lnrpc.ListChannelsRequest{}); err != nil {
			return err
		}
		call = "PendingChannels"
		closing, err = client.PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})

		return err
	})
	if err != nil {
		return HTLCs{}, n.unknown(call, err)
	}

	return htlcsOf(hash, open.Channels, closing), nil
}

// htlcsOf is what the channels say of a hash, and of lnd's own age (see
// comingUp). A channel whose close waits for
// its confirmation does not tell its HTLCs, one that is being closed by force
// tells them without hashes.
func htlcsOf(hash Hash, open []*lnrpc.Channel, closing *lnrpc.PendingChannelsResponse) HTLCs {
	why, found, up := "", false, int64(0)
	if len(open) == 0 {
		why = "it has no open channel, which would tell for how long lnd has run"
	}
	for _, channel := range open {
		found = found || slices.ContainsFunc(channel.PendingHtlcs, func(htlc *lnrpc.HTLC) bool {
			return !htlc.Incoming && bytes.Equal(htlc.HashLock, hash[:])
		})
		up = max(up, channel.Lifetime)
		if !channel.Active {
			why = fmt.Sprintf("channel %s is not active, its commitments may differ", channel.ChannelPoint)
		}
	}
	if found {
		return HTLCs{Found: true, Certain: true, Up: time.Duration(up) * time.Second}
	}
	for _, channel := range closing.WaitingCloseChannels {
		why = fmt.Sprintf("the close of channel %s waits for its confirmation", channel.GetChannel().GetChannelPoint())
	}
	for _, channel := range closing.PendingForceClosingChannels {
		if len(channel.PendingHtlcs) > 0 {
			why = fmt.Sprintf("channel %s is being closed and has HTLCs, of which lnd does not tell the hashes",
				channel.GetChannel().GetChannelPoint())
		}
	}

	return HTLCs{Certain: why == "", Why: why, Up: time.Duration(up) * time.Second}
}
