package freeport_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/freeport"
)

func TestTakeGivesNoPortTwice(t *testing.T) {
	given := map[int]bool{}
	for _, n := range []int{1, 9, freeport.Most, 1, 22} {
		first, err := freeport.Take(n)
		require.NoError(t, err)
		for port := first; port < first+n; port++ {
			require.False(t, given[port], "port %d", port)
			given[port] = true
			require.Less(t, port, 32_768, "the kernel hands out the ports from here as local ends of connections")
			listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			require.NoError(t, err)
			require.NoError(t, listener.Close())
		}
	}
}

func TestTakeRefusesWhatItCannotGive(t *testing.T) {
	for _, n := range []int{-1, 0, freeport.Most + 1} {
		_, err := freeport.Take(n)
		require.Error(t, err)
	}
}
