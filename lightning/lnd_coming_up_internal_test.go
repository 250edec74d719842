package lightning

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"
)

// A peer that has been away for longer than a start takes holds nothing up.
func TestComingUp(t *testing.T) {
	t.Parallel()
	channel := func(active bool, lifetimeS int64) *lnrpc.Channel {
		return &lnrpc.Channel{Active: active, Lifetime: lifetimeS}
	}
	for name, c := range map[string]struct {
		channels []*lnrpc.Channel
		want     bool
	}{
		"no channels":                      {},
		"active":                           {channels: []*lnrpc.Channel{channel(true, 0)}},
		"just started":                     {channels: []*lnrpc.Channel{channel(false, 59)}, want: true},
		"one of two, just started":         {channels: []*lnrpc.Channel{channel(true, 3), channel(false, 3)}, want: true},
		"not counted yet":                  {channels: []*lnrpc.Channel{channel(false, 0)}, want: true},
		"a peer that has been away longer": {channels: []*lnrpc.Channel{channel(false, 60)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, comingUp(c.channels))
		})
	}
}
