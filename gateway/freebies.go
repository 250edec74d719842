package gateway

import (
	"net/netip"
	"sync"
	"time"
)

// ipv6ClientBits is how much of an IPv6 address is one client: a /64 is what a
// single line has (RFC 6177).
const ipv6ClientBits = 64

const day = 24 * time.Hour

// freebies counts what each client had for nothing today. Its memory is bounded:
// when there are too many clients, new ones get nothing. A restart forgets.
type freebies struct {
	each, clients int
	now           func() time.Time

	mu    sync.Mutex
	today time.Time
	taken map[netip.Prefix]int
}

func newFreebies(each, clients int, now func() time.Time) *freebies {
	return &freebies{each: each, clients: clients, now: now, taken: map[netip.Prefix]int{}}
}

// take says whether a client has one left, and takes it.
func (f *freebies) take(client netip.Addr) bool {
	client = client.Unmap()
	bits := client.BitLen()
	if client.Is6() {
		bits = ipv6ClientBits
	}
	network, err := client.WithZone("").Prefix(bits)
	if err != nil {
		return false // Of an address that is none.
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if today := f.now().UTC().Truncate(day); !today.Equal(f.today) {
		f.today = today
		clear(f.taken)
	}
	taken, known := f.taken[network]
	if taken >= f.each || (!known && len(f.taken) >= f.clients) {
		return false
	}
	f.taken[network] = taken + 1

	return true
}
