package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/lntpay/lntpay/config"
)

const (
	// addressesCached is of how many remote addresses failures are remembered.
	addressesCached = 10_000
	// networkBits of an IPv6 address are those of one customer.
	networkBits = 64
)

// failures bounds, by remote address, the answers to requests without a good
// key. It is this process's own: guesses gain nothing from a second one.
type failures struct {
	limit   rate.Limit
	burst   int
	proxies []netip.Prefix
	seen    *lru.Cache[netip.Addr, *rate.Limiter]
}

func newFailures(cfg config.API) (*failures, error) {
	proxies, err := cfg.Proxies()
	if err != nil {
		return nil, err
	}
	seen, err := lru.New[netip.Addr, *rate.Limiter](addressesCached)
	if err != nil {
		return nil, err
	}
	burst := cfg.UnauthorizedBurst
	if burst == 0 {
		burst = cfg.UnauthorizedPerSecond
	}

	return &failures{limit: rate.Limit(cfg.UnauthorizedPerSecond), burst: burst, proxies: proxies, seen: seen}, nil
}

// allow reports whether the address may have one more 401.
func (f *failures) allow(r *http.Request) bool {
	return f.limit == 0 || f.limiter(r).Allow()
}

// exhausted reports whether it may have none now.
func (f *failures) exhausted(r *http.Request) bool {
	return f.limit > 0 && f.limiter(r).Tokens() < 1
}

func (f *failures) limiter(r *http.Request) *rate.Limiter {
	address := f.address(r)
	found, ok, _ := f.seen.PeekOrAdd(address, rate.NewLimiter(f.limit, f.burst))
	if !ok {
		found, _ = f.seen.Get(address)
	}
	if found == nil { // Forgotten in between.
		found = rate.NewLimiter(f.limit, f.burst)
	}

	return found
}

// address is whose failure it is: the peer, or, where that is a trusted proxy,
// the last address that such proxies were reached from. What is to the left of
// it in X-Forwarded-For anybody can write.
func (f *failures) address(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, _ := netip.ParseAddr(host) // The zero one is an address like others here.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !f.trusts(address) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = before
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(networkBits); err == nil {
			return network.Addr()
		}
	}

	return address
}

func (f *failures) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(f.proxies, func(p netip.Prefix) bool { return p.Contains(address.Unmap()) })
}
