package api

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lntpay/lntpay/store/db"
)

// nodeCacheTTL is how long a node that was added stays unknown here.
const nodeCacheTTL = time.Minute

// nodeCache remembers the nodes of an environment. The API has no node itself:
// it knows what the worker has pinned.
type nodeCache struct {
	queries *db.Queries

	mu        sync.Mutex
	nodes     nodes
	goodUntil time.Time
}

// nodes are those of one environment, past ones included: all of one network.
type nodes struct {
	network string
	pubkeys []string
}

func newNodeCache(queries *db.Queries) *nodeCache { return &nodeCache{queries: queries} }

// find returns the nodes, or that nothing can be said now: no worker has ever
// run, or Postgres is away.
func (n *nodeCache) find(ctx context.Context) (nodes, error) {
	n.mu.Lock()
	known, good := n.nodes, time.Now().Before(n.goodUntil)
	n.mu.Unlock()
	if good {
		return known, nil
	}
	asked := time.Now()
	rows, err := n.queries.ReadNodes(ctx)
	if err != nil {
		return nodes{}, fmt.Errorf("read nodes: %w", err)
	}
	var read nodes
	for _, row := range rows {
		read.pubkeys = append(read.pubkeys, row.Pubkey)
		read.network = cmp.Or(read.network, row.Network)
	}
	if read.network == "" {
		return nodes{}, fmt.Errorf("%w: no worker has noted a network yet", errUnavailable)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes, n.goodUntil = read, asked.Add(nodeCacheTTL)

	return read, nil
}
