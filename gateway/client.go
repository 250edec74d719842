package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxForwarded bounds how far back X-Forwarded-For is read.
const maxForwarded = 32

// peer is who has opened the connection of a request.
func peer(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}

	return address.Addr().Unmap()
}

// trusts says whether a proxy's word counts.
func (g *Gateway) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(g.trusted, func(network netip.Prefix) bool { return network.Contains(address) })
}

// client is whose request it is: the peer, or, as far as the proxies in between
// are trusted, the last address before them. What is further left is anybody's
// claim.
func (g *Gateway) client(r *http.Request) netip.Addr {
	address := peer(r)
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if len(chain) > maxForwarded {
		chain = chain[len(chain)-maxForwarded:]
	}
	for _, text := range slices.Backward(chain) {
		if !g.trusts(address) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		address = before.Unmap()
	}

	return address
}
