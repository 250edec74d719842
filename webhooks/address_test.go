package webhooks

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressAllowed(t *testing.T) {
	t.Parallel()
	const always, private, never = "always", "private", "never"
	tests := map[string]string{
		"8.8.8.8": always, "1.1.1.1": always, "172.32.0.1": always, "100.63.255.255": always, "192.0.1.1": always,
		"2606:4700:4700::1111": always, "2a00:1450:4001::1": always,
		"::ffff:8.8.8.8": always, "64:ff9b::808:808": always,

		"127.0.0.1": private, "127.255.255.254": private, "::1": private, "::ffff:127.0.0.1": private,
		"10.0.0.1": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private,
		"::ffff:10.0.0.1": private, "::ffff:192.168.0.1": private,

		"0.0.0.0": never, "0.1.2.3": never, "::": never, "::ffff:0.0.0.0": never,
		"169.254.169.254": never, "::ffff:169.254.169.254": never, "fe80::1": never, "fe80::1%eth0": never,
		"100.64.0.1": never, "100.100.100.200": never, "168.63.129.16": never,
		"192.0.0.192": never, "192.0.2.1": never, "198.51.100.1": never, "203.0.113.1": never, "2001:db8::1": never, "3fff::1": never,
		"192.88.99.1": never, "198.18.0.1": never, "198.19.255.255": never, "2001:2::1": never,
		"224.0.0.1": never, "239.255.255.250": never, "ff02::1": never,
		"240.0.0.1": never, "255.255.255.255": never,
		"fd00:ec2::254": never, "fc00::1": never, "fec0::1": never,
		"64:ff9b::7f00:1": never, "64:ff9b::a9fe:a9fe": never, "64:ff9b::a00:1": never, "64:ff9b:1::808:808": never,
		"2002:7f00:1::": never, "2002:808:808::1": never, "2001:0:808:808::1": never,
		"::127.0.0.1": never, "::8.8.8.8": never, "100::1": never, "5f00::1": never,
	}
	for text, when := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			addr := netip.MustParseAddr(text)
			require.Equal(t, when == always, addressAllowed(addr, false))
			require.Equal(t, when != never, addressAllowed(addr, true))
		})
	}
	require.False(t, addressAllowed(netip.Addr{}, true))
}
