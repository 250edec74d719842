package regtest

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
)

// confirmations make a channel usable and announced.
const confirmations = 6

// routeSats is the amount that a route is asked for.
const routeSats = 1000

// openChannels connects the nodes and opens balanced channels from payer to
// merchant, all at once.
func (n *Net) openChannels(ctx context.Context) error {
	height, err := n.height(ctx)
	if err != nil {
		return err
	}
	for _, node := range []*Lnd{n.Payer, n.Merchant} {
		if err := node.synced(ctx, height); err != nil {
			return err
		}
	}
	if err := n.connectPeers(ctx); err != nil {
		return err
	}
	pubkey, err := hex.DecodeString(n.Merchant.Config.Pubkey)
	if err != nil {
		return err
	}
	for range n.options.Channels {
		// The wallet may still be reading the coinbases.
		err := until(ctx, func() error {
			_, err := n.Payer.Lightning.OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{
				NodePubkey: pubkey, LocalFundingAmount: n.options.ChannelSats,
				PushSat: n.options.ChannelSats / 2, SatPerVbyte: 1,
			})

			return err
		})
		if err != nil {
			return fmt.Errorf("open a channel: %w", err)
		}
	}
	if err := n.Mine(ctx, confirmations); err != nil {
		return err
	}

	return n.WaitChannels(ctx)
}

// connectPeers connects payer to merchant, once both servers are up.
func (n *Net) connectPeers(ctx context.Context) error {
	return until(ctx, func() error {
		peers, err := n.Payer.Lightning.ListPeers(ctx, &lnrpc.ListPeersRequest{})
		if err != nil || len(peers.Peers) > 0 {
			return err
		}
		_, err = n.Payer.Lightning.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
			Addr: &lnrpc.LightningAddress{
				Pubkey: n.Merchant.Config.Pubkey, Host: n.Merchant.at.peerAddress("p2p"),
			},
		})

		return err
	})
}

// WaitChannels waits until all channels are active on both sides and each node
// finds a route to the other, as after a restart. An active channel is not
// enough: until the graph has it, lnd answers FAILURE_REASON_INSUFFICIENT_BALANCE.
func (n *Net) WaitChannels(ctx context.Context) error {
	for from, to := range map[*Lnd]*Lnd{n.Payer: n.Merchant, n.Merchant: n.Payer} {
		if err := until(ctx, func() error { return n.usable(ctx, from, to) }); err != nil {
			return fmt.Errorf("channels of %s: %w", from.Config.Name, err)
		}
	}

	return nil
}

// usable is one look for WaitChannels.
func (n *Net) usable(ctx context.Context, from, to *Lnd) error {
	answer, err := from.Lightning.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true})
	if err != nil {
		return err
	}
	if len(answer.Channels) < n.options.Channels {
		return fmt.Errorf("%d of %d channels are active", len(answer.Channels), n.options.Channels)
	}
	_, err = from.Lightning.QueryRoutes(ctx, &lnrpc.QueryRoutesRequest{PubKey: to.Config.Pubkey, Amt: routeSats})

	return err
}

// height is the chain's.
func (n *Net) height(ctx context.Context) (uint32, error) {
	var height uint32
	err := n.chain.call(ctx, "getblockcount", &height)

	return height, err
}

// Mine makes blocks.
func (n *Net) Mine(ctx context.Context, blocks int) error {
	return n.chain.call(ctx, "generate", nil, blocks)
}
