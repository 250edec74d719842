package devnet

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"golang.org/x/sync/errgroup"
)

// The network of a stack: several channels, so that a payment can be split
// and one closed channel is not the end of it; each holds half on each side.
const (
	channelCount = 4
	channelSats  = 50_000_000
	// matureBlocks: segwit and taproot are active on btcd's regtest, and
	// enough coinbases are mature (100 deep) for the channels.
	matureBlocks = 450
	// confirmations make a channel usable and public.
	confirmations = 6
)

// Fund makes the chain usable with from as the owner of its coins: it mines
// until there are mature coins, which is done once, or one block on a chain
// that has them already. lnd trusts a chain only while blocks are recent, so
// after a pause it needs that one.
func Fund(ctx context.Context, chain *Btcd, from *Lnd) error {
	if chain.miningAddress() == "" {
		var to *lnrpc.NewAddressResponse
		err := from.with(func(lnd lnrpc.LightningClient) (err error) {
			to, err = lnd.NewAddress(ctx, &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_WITNESS_PUBKEY_HASH})

			return err
		})
		if err != nil {
			return fmt.Errorf("get an address to mine to: %w", err)
		}
		if err := chain.MineTo(ctx, to.Address); err != nil {
			return err
		}
	}
	height, err := chain.Height(ctx)
	if err != nil {
		return err
	}
	_, err = chain.Mine(ctx, max(1, matureBlocks-height))

	return err
}

// OpenChannels connects two nodes and opens channels from the first, which
// must own coins (see Fund), until count are usable; half of each is pushed to
// the other side. Channels that exist already count. It returns when payments
// can take all of them, either way.
func OpenChannels(ctx context.Context, chain *Btcd, from, to *Lnd, count int, sats int64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, node := range []*Lnd{from, to} {
		if err := eventually(ctx, node.synced); err != nil {
			return err
		}
	}
	if err := connect(ctx, from, to); err != nil {
		return err
	}
	known, pending, err := from.channels(ctx, to)
	if err != nil {
		return err
	}
	if missing := count - known - pending; missing > 0 {
		needed := int64(missing) * sats
		if err := eventually(ctx, func(ctx context.Context) error { return from.owns(ctx, needed) }); err != nil {
			return err
		}
		if err := open(ctx, from, to, missing, sats); err != nil {
			return err
		}
		pending += missing
	}
	if pending > 0 {
		if _, err := chain.Mine(ctx, confirmations); err != nil {
			return err
		}
	}

	return eventually(ctx, func(ctx context.Context) error { return bothUsable(ctx, from, to, count) })
}

// connect makes two nodes peers. A node that has a channel with the other
// connects on its own too; "already connected" is what we want.
func connect(ctx context.Context, from, to *Lnd) error {
	return eventually(ctx, func(ctx context.Context) error {
		err := from.with(func(lnd lnrpc.LightningClient) error {
			_, err := lnd.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
				Addr: &lnrpc.LightningAddress{Pubkey: to.Pubkey, Host: to.peers}, Timeout: 5,
			})

			return err
		})
		if err != nil && !strings.Contains(err.Error(), "already connected") {
			return fmt.Errorf("connect %s to %s: %w", from.name, to.name, err)
		}

		return nil
	})
}

// open opens n channels at once, each half pushed to the other side.
func open(ctx context.Context, from, to *Lnd, n int, sats int64) error {
	peer, err := hex.DecodeString(to.Pubkey)
	if err != nil {
		return fmt.Errorf("read the pubkey of %s: %w", to.name, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for range n {
		group.Go(func() error {
			return from.with(func(lnd lnrpc.LightningClient) error {
				_, err := lnd.OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{
					NodePubkey: peer, LocalFundingAmount: sats, PushSat: sats / 2, SatPerVbyte: 2,
				})
				if err != nil {
					return fmt.Errorf("open a channel from %s to %s: %w", from.name, to.name, err)
				}

				return nil
			})
		})
	}

	return group.Wait()
}

// channels counts the confirmed channels with a peer, and those that wait for
// confirmations.
func (n *Lnd) channels(ctx context.Context, peer *Lnd) (confirmed, pending int, err error) {
	err = n.with(func(lnd lnrpc.LightningClient) error {
		list, err := lnd.ListChannels(ctx, &lnrpc.ListChannelsRequest{})
		if err != nil {
			return err
		}
		for _, channel := range list.Channels {
			if channel.RemotePubkey == peer.Pubkey {
				confirmed++
			}
		}
		waiting, err := lnd.PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})
		if err != nil {
			return err
		}
		pending = len(waiting.PendingOpenChannels)

		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("list the channels of %s: %w", n.name, err)
	}

	return confirmed, pending, nil
}

// usable counts the channels with a peer that a payment can take now: the link
// is up, and the graph has both directions' policies. An active channel that
// the graph lacks, for seconds after it was confirmed or the node was started,
// makes payments fail with "insufficient balance".
func (n *Lnd) usable(ctx context.Context, peer *Lnd) (count int, err error) {
	err = n.with(func(lnd lnrpc.LightningClient) error {
		list, err := lnd.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true})
		if err != nil {
			return err
		}
		graph, err := lnd.DescribeGraph(ctx, &lnrpc.ChannelGraphRequest{IncludeUnannounced: true})
		if err != nil {
			return err
		}
		known := map[uint64]bool{}
		for _, edge := range graph.Edges {
			known[edge.ChannelId] = edge.Node1Policy != nil && edge.Node2Policy != nil
		}
		for _, channel := range list.Channels {
			if channel.RemotePubkey == peer.Pubkey && known[channel.ChanId] {
				count++
			}
		}

		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("list the channels of %s: %w", n.name, err)
	}

	return count, nil
}

// bothUsable reports whether both sides have enough usable channels.
func bothUsable(ctx context.Context, a, b *Lnd, count int) error {
	for _, side := range [][2]*Lnd{{a, b}, {b, a}} {
		usable, err := side[0].usable(ctx, side[1])
		if err != nil {
			return err
		}
		if usable < count {
			return fmt.Errorf("%s has %d of %d usable channels with %s", side[0].name, usable, count, side[1].name)
		}
	}

	return nil
}

// owns reports whether the node's wallet has found that much.
func (n *Lnd) owns(ctx context.Context, sats int64) error {
	return n.with(func(lnd lnrpc.LightningClient) error {
		balance, err := lnd.WalletBalance(ctx, &lnrpc.WalletBalanceRequest{MinConfs: 1})
		if err != nil {
			return fmt.Errorf("ask %s for its balance: %w", n.name, err)
		}
		if balance.ConfirmedBalance < sats {
			return fmt.Errorf("%s has %d of the %d sats that its channels need", n.name, balance.ConfirmedBalance, sats)
		}

		return nil
	})
}

// eventually repeats f until it succeeds or ctx ends, and then says why not.
func eventually(ctx context.Context, f func(context.Context) error) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (the last answer: %w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
