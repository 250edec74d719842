// Package freeport gives ports to programs that are started later. A port that
// the kernel picks (":0") and that is closed again may be taken at any moment
// as the local end of somebody's connection, so these lie below that range, and
// a lock keeps two processes that look at the same time apart.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/lntpay/lntpay/deploy/devnet/internal/flock"
)

const (
	// lowest and highest bound what is given: above the fixed ports of a
	// machine's services and of a stack at its default place, below 32768,
	// where Linux begins to hand out local ports (ip(7), ip_local_port_range).
	lowest  = 12_000
	highest = 32_767
	// Most is how many ports one call may ask for.
	Most = 32
)

// taken holds the locks until the process ends: what was given here is not
// given again, also after its program has ended, since that may start again.
var taken struct {
	sync.Mutex
	locks []*flock.Lock
}

// Take returns the first of n ports in a row on 127.0.0.1 that nothing listens
// on. They are this process's, and its children's, until it ends.
func Take(n int) (first int, err error) {
	if n < 1 || n > Most {
		return 0, fmt.Errorf("freeport: %d ports asked for, 1 to %d can be had", n, Most)
	}
	dir := filepath.Join(os.TempDir(), "lntpay-ports-"+strconv.Itoa(os.Geteuid()))
	blocks := (highest + 1 - lowest) / Most
	for _, block := range rand.Perm(blocks) {
		first := lowest + block*Most
		lock, err := flock.Try(filepath.Join(dir, strconv.Itoa(first)))
		if errors.Is(err, flock.ErrHeld) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("freeport: %w", err)
		}
		if !allFree(first, n) {
			_ = lock.Release()

			continue
		}
		taken.Lock()
		defer taken.Unlock()
		taken.locks = append(taken.locks, lock)

		return first, nil
	}

	return 0, fmt.Errorf("freeport: no %d free ports in a row", n)
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = listener.Close()
	}

	return true
}
