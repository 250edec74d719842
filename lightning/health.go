package lightning

import "context"

// Health is what a node says of itself, for the metrics.
type Health struct {
	// SyncedToChain and SyncedToGraph are lnd's own words: without the first it
	// must not be paid by, without the second it finds few routes.
	SyncedToChain bool
	SyncedToGraph bool
	BlockHeight   uint32
	// The numbers of its channels, and of its peers.
	ActiveChannels   int
	InactiveChannels int
	PendingChannels  int
	Peers            int
}

// Health implements Node.
func (n *lnd) Health(ctx context.Context) (Health, error) {
	info, err := n.info(ctx, readyTimeout)
	if err != nil {
		return Health{}, err
	}

	return Health{
		SyncedToChain: info.SyncedToChain, SyncedToGraph: info.SyncedToGraph, BlockHeight: info.BlockHeight,
		ActiveChannels: int(info.NumActiveChannels), InactiveChannels: int(info.NumInactiveChannels),
		PendingChannels: int(info.NumPendingChannels), Peers: int(info.NumPeers),
	}, nil
}
