package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

const (
	// openChargesTTL is how long a count of open charges is added to before it
	// is made again, and openChargesPause how long a full workspace is refused
	// by it at least.
	openChargesTTL   = 2 * time.Second
	openChargesPause = time.Second
	// openChargesTimeout bounds the count.
	openChargesTimeout = time.Second
)

// openCharges knows about how many pending charges workspaces have: what was
// counted, and what this process has made since. What other processes have made
// in the same two seconds is not in it, so that the limit is exceeded by that
// at most, and by what is being created at the time of the count.
type openCharges struct {
	queries *db.Queries
	mu      sync.Mutex
	counts  *lru.Cache[string, *openCount]
}

type openCount struct {
	mu      sync.Mutex
	counted time.Time
	// open are pending charges, those made since the count included.
	open int64
}

func newOpenCharges(queries *db.Queries) *openCharges {
	counts, err := lru.New[string, *openCount](ownLimitsCached)
	if err != nil {
		panic(err) // Only for a size that is not positive.
	}

	return &openCharges{queries: queries, counts: counts}
}

func (o *openCharges) of(workspaceID string) *openCount {
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.counts.Get(workspaceID)
	if !ok {
		found = &openCount{}
		o.counts.Add(workspaceID, found)
	}

	return found
}

// add reports whether one more charge keeps the limit, and counts it. Where the
// count fails there is room: what is to be created will say what is away.
func (o *openCharges) add(ctx context.Context, workspaceID string, limit int) bool {
	count := o.of(workspaceID)
	count.mu.Lock()
	defer count.mu.Unlock()
	age := time.Since(count.counted)
	full := count.open >= int64(limit)
	if age > openChargesTTL || (full && age > openChargesPause) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openChargesTimeout)
		defer cancel()
		open, err := o.queries.CountWorkspacePending(ctx, db.CountWorkspacePendingParams{
			WorkspaceID: workspaceID, MaxCount: int32(min(limit, math.MaxInt32)),
		})
		if err != nil {
			return true
		}
		count.open, count.counted = open, time.Now()
	}
	if count.open >= int64(limit) {
		return false
	}
	count.open++

	return true
}

// roomForCharge refuses a new charge of a workspace that has as many open ones
// as it may. Nothing is written then, so that a repeat is judged anew; a POST
// that was claimed already is let through to its answer.
func (s *Server) roomForCharge(c *call, key *string) error {
	ctx, cancel := c.context()
	defer cancel()
	limit := c.env.limits.of(ctx, c.key.workspaceID).OpenCharges
	if limit == 0 || c.env.limits.open.add(ctx, c.key.workspaceID, limit) {
		return nil
	}
	if key != nil {
		_, err := c.env.Store.FindClaim(ctx, db.FindClaimParams{
			WorkspaceID: c.key.workspaceID, Path: c.Request.URL.Path, Key: *key,
		})
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	s.metrics.limited.WithLabelValues(limitedByOpenCharges).Inc()

	return payments.NewProblem(payments.CodeLimitExceeded, fmt.Sprintf(
		"The limit on the number of a workspace's open charges is %d. Nothing was kept: a repeat is judged anew.", limit))
}
