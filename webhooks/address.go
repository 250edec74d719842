package webhooks

import "net/netip"

// loopback and rfc1918 are all that Policy.AllowPrivate opens. Link-local
// addresses stay closed: cloud metadata services live there.
var (
	loopback = prefixes("127.0.0.0/8", "::1/128")
	rfc1918  = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)

// closedV4 are the IPv4 ranges of the IANA special-purpose registry that are
// not the public internet, and Azure's metadata address, which looks public.
var closedV4 = prefixes(
	"0.0.0.0/8",        // this network, unspecified
	"10.0.0.0/8",       // RFC 1918
	"100.64.0.0/10",    // carrier-grade NAT, Alibaba's metadata
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's wire server
	"169.254.0.0/16",   // link-local, metadata
	"172.16.0.0/12",    // RFC 1918
	"192.0.0.0/24",     // IETF assignments, Oracle's metadata
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // RFC 1918
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
)

// globalV6 is the only IPv6 space handed out as public; closedV6 are the parts
// of it that are special. Everything outside (unspecified, loopback, ULA,
// link-local, site-local, multicast, discard-only, IPv4-compatible) is closed.
var (
	globalV6 = netip.MustParsePrefix("2000::/3")
	closedV6 = prefixes(
		"2001::/23",     // IETF assignments: Teredo, benchmarking, ORCHID
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4: an IPv4 address inside
		"3fff::/20",     // documentation
	)
	// nat64 is how an IPv6-only host reaches IPv4: judged by the IPv4 address
	// inside. The local-use 64:ff9b:1::/48 is outside globalV6.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// addressAllowed reports whether a delivery may connect to addr.
func addressAllowed(addr netip.Addr, allowPrivate bool) bool {
	addr = addr.Unmap().WithZone("")
	if allowPrivate && (contains(loopback, addr) || contains(rfc1918, addr)) {
		return true
	}

	return public(addr)
}

func public(addr netip.Addr) bool {
	switch {
	case !addr.IsValid():
		return false
	case addr.Is4():
		return !contains(closedV4, addr)
	case nat64.Contains(addr):
		all := addr.As16()

		return public(netip.AddrFrom4([4]byte(all[12:])))
	default:
		return globalV6.Contains(addr) && !contains(closedV6, addr)
	}
}

func contains(ranges []netip.Prefix, addr netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(addr) {
			return true
		}
	}

	return false
}

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}

	return all
}
