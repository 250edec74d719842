package api

import (
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
	nodes     []db.ReadNodesRow
	goodUntil time.Time
}

func newNodeCache(queries *db.Queries) *nodeCache { return &nodeCache{queries: queries} }

// find returns at least one node, or that nothing can be said now: no worker
// has ever run, or Postgres is away.
func (n *nodeCache) find(ctx context.Context) ([]db.ReadNodesRow, error) {
	n.mu.Lock()
	nodes, good := n.nodes, time.Now().Before(n.goodUntil)
	n.mu.Unlock()
	if good {
		return nodes, nil
	}
	asked := time.Now()
	nodes, err := n.queries.ReadNodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("%w: no worker has pinned a node yet", errUnavailable)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes, n.goodUntil = nodes, asked.Add(nodeCacheTTL)

	return nodes, nil
}
