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

// openChannels connects the nodes and opens balanced channels from the payer, all
// at once.
func (n *Net) openChannels(ctx context.Context) error {
	height, err := n.height(ctx)
	if err != nil {
		return err
	}
	for _, node := range n.nodes() {
		if err := node.synced(ctx, height); err != nil {
			return err
		}
	}
	if err := n.connectPeers(ctx); err != nil {
		return err
	}
	for range n.options.Channels {
		if err := n.openChannel(ctx, n.Merchant); err != nil {
			return err
		}
	}
	if n.Shop != nil {
		if err := n.openChannel(ctx, n.Shop); err != nil {
			return err
		}
	}
	if err := n.Mine(ctx, confirmations); err != nil {
		return err
	}

	return n.WaitChannels(ctx)
}

// openChannel opens one, which blocks have yet to confirm.
func (n *Net) openChannel(ctx context.Context, to *Lnd) error {
	pubkey, err := hex.DecodeString(to.Config.Pubkey)
	if err != nil {
		return err
	}
	// The wallet may still be reading the coinbases.
	err = until(ctx, func() error {
		_, err := n.Payer.Lightning.OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{
			NodePubkey: pubkey, LocalFundingAmount: n.options.ChannelSats,
			PushSat: n.options.ChannelSats / 2, SatPerVbyte: 1,
		})

		return err
	})
	if err != nil {
		return fmt.Errorf("open a channel to %s: %w", to.Config.Name, err)
	}

	return nil
}

// connectPeers connects the payer to the others, once the servers are up.
func (n *Net) connectPeers(ctx context.Context) error {
	for _, node := range n.nodes() {
		if node == n.Payer {
			continue
		}
		if err := until(ctx, func() error { return n.connectPeer(ctx, node) }); err != nil {
			return fmt.Errorf("connect to %s: %w", node.Config.Name, err)
		}
	}

	return nil
}

// connectPeer is one attempt.
func (n *Net) connectPeer(ctx context.Context, node *Lnd) error {
	peers, err := n.Payer.Lightning.ListPeers(ctx, &lnrpc.ListPeersRequest{})
	if err != nil {
		return err
	}
	for _, peer := range peers.Peers {
		if peer.PubKey == node.Config.Pubkey {
			return nil
		}
	}
	_, err = n.Payer.Lightning.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
		Addr: &lnrpc.LightningAddress{Pubkey: node.Config.Pubkey, Host: node.at.peerAddress("p2p")},
	})

	return err
}

// WaitChannels waits until all channels are active on both sides and each node
// finds a route to the other, as after a restart. An active channel is not
// enough: until the graph has it, lnd answers FAILURE_REASON_INSUFFICIENT_BALANCE.
func (n *Net) WaitChannels(ctx context.Context) error {
	for from, to := range map[*Lnd]*Lnd{n.Payer: n.Merchant, n.Merchant: n.Payer} {
		if err := until(ctx, func() error { return usable(ctx, from, to, n.options.Channels) }); err != nil {
			return fmt.Errorf("channels of %s: %w", from.Config.Name, err)
		}
	}
	if n.Shop == nil {
		return nil
	}
	if err := until(ctx, func() error { return usable(ctx, n.Shop, n.Payer, 1) }); err != nil {
		return fmt.Errorf("channel of %s: %w", n.Shop.Config.Name, err)
	}
	// The merchant hears of the shop's channel by gossip.
	if err := until(ctx, func() error { return routed(ctx, n.Merchant, n.Shop) }); err != nil {
		return fmt.Errorf("route to %s: %w", n.Shop.Config.Name, err)
	}

	return nil
}

// usable is one look for so many channels.
func usable(ctx context.Context, from, to *Lnd, channels int) error {
	peer, err := hex.DecodeString(to.Config.Pubkey)
	if err != nil {
		return err
	}
	answer, err := from.Lightning.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true, Peer: peer})
	if err != nil {
		return err
	}
	if len(answer.Channels) < channels {
		return fmt.Errorf("%d of %d channels are active", len(answer.Channels), channels)
	}

	return routed(ctx, from, to)
}

// routed is one look for a route.
func routed(ctx context.Context, from, to *Lnd) error {
	_, err := from.Lightning.QueryRoutes(ctx, &lnrpc.QueryRoutesRequest{PubKey: to.Config.Pubkey, Amt: routeSats})

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
