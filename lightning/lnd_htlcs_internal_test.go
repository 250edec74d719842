package lightning

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"
)

// No HTLC is certain only of channels that could not hide one.
func TestHTLCsOf(t *testing.T) {
	t.Parallel()
	hash, other := Hash{1}, Hash{2}
	channel := func(active bool, htlcs ...*lnrpc.HTLC) *lnrpc.Channel {
		return &lnrpc.Channel{Active: active, ChannelPoint: "point", PendingHtlcs: htlcs}
	}
	point := &lnrpc.PendingChannelsResponse_PendingChannel{ChannelPoint: "closing"}
	forced := func(htlcs ...*lnrpc.PendingHTLC) *lnrpc.PendingChannelsResponse {
		return &lnrpc.PendingChannelsResponse{
			PendingForceClosingChannels: []*lnrpc.PendingChannelsResponse_ForceClosedChannel{
				{Channel: point, PendingHtlcs: htlcs},
			},
		}
	}
	for name, c := range map[string]struct {
		open           []*lnrpc.Channel
		closing        *lnrpc.PendingChannelsResponse
		found, certain bool
	}{
		"no channels":   {},
		"found":         {open: []*lnrpc.Channel{channel(true, &lnrpc.HTLC{HashLock: hash[:]})}, found: true, certain: true},
		"found, absent": {open: []*lnrpc.Channel{channel(false, &lnrpc.HTLC{HashLock: hash[:]})}, found: true, certain: true},
		"incoming":      {open: []*lnrpc.Channel{channel(true, &lnrpc.HTLC{Incoming: true, HashLock: hash[:]})}, certain: true},
		"another's":     {open: []*lnrpc.Channel{channel(true, &lnrpc.HTLC{HashLock: other[:]})}, certain: true},
		"inactive":      {open: []*lnrpc.Channel{channel(true), channel(false), channel(true)}},
		"waiting close": {open: []*lnrpc.Channel{channel(true)}, closing: &lnrpc.PendingChannelsResponse{
			WaitingCloseChannels: []*lnrpc.PendingChannelsResponse_WaitingCloseChannel{{Channel: point}},
		}},
		"opening": {closing: &lnrpc.PendingChannelsResponse{
			PendingOpenChannels: []*lnrpc.PendingChannelsResponse_PendingOpenChannel{{Channel: point}},
		}, open: []*lnrpc.Channel{channel(true)}, certain: true},
		"forced, with HTLCs": {open: []*lnrpc.Channel{channel(true)}, closing: forced(&lnrpc.PendingHTLC{})},
		"forced, without":    {open: []*lnrpc.Channel{channel(true)}, closing: forced(), certain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closing := c.closing
			if closing == nil {
				closing = &lnrpc.PendingChannelsResponse{}
			}
			got := htlcsOf(hash, c.open, closing)
			require.Equal(t, c.found, got.Found)
			require.Equal(t, c.certain, got.Certain)
			require.Equal(t, c.certain, got.Why == "", got.Why)
		})
	}
}

// How long lnd has run is what its oldest channel tells, active or not.
func TestHTLCsTellHowLongLndRuns(t *testing.T) {
	t.Parallel()
	hash := Hash{1}
	channel := func(lifetimeS int64, active bool, htlcs ...*lnrpc.HTLC) *lnrpc.Channel {
		return &lnrpc.Channel{Active: active, Lifetime: lifetimeS, PendingHtlcs: htlcs}
	}
	for name, c := range map[string]struct {
		open []*lnrpc.Channel
		up   time.Duration
	}{
		"no channels":                 {},
		"opened since":                {[]*lnrpc.Channel{channel(7, true), channel(200, true), channel(0, true)}, 200 * time.Second},
		"the oldest one is not there": {[]*lnrpc.Channel{channel(200, false), channel(7, true)}, 200 * time.Second},
		"with the HTLC":               {[]*lnrpc.Channel{channel(7, true, &lnrpc.HTLC{HashLock: hash[:]}), channel(200, true)}, 200 * time.Second},
		"starting":                    {[]*lnrpc.Channel{channel(0, true)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.up, htlcsOf(hash, c.open, &lnrpc.PendingChannelsResponse{}).Up)
		})
	}
}
