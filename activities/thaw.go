package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lntpay/lntpay/store/db"
)

// thawEvery is how often the watcher looks whether a thaw is asked for, or has
// set its cursor back.
const thawEvery = 10 * time.Second

// thawWhenAsked carries out an operator's thaw. It is the watcher's, which may
// take as long as the node's lists are.
func (a *Nodes) thawWhenAsked(ctx context.Context, nudges *nudges) error {
	ticker := time.NewTicker(thawEvery)
	defer ticker.Stop()
	for {
		if err := a.thaw(ctx, nudges); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "the node is not thawed, trying again", "node", a.Node.Name(), "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// thaw ends the regression of the node if an operator has asked for it: what
// the node has now counts from here, and its lists are read, invoices from our
// first charge on.
func (a *Nodes) thaw(ctx context.Context, nudges *nudges) error {
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	if node.ThawRequestedAt == nil {
		return nil
	}
	present, err := a.Node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}
	if _, err := a.Store.RebaseNode(ctx, db.RebaseNodeParams{
		Name: node.Name, AddIndex: int64(present.Add), SettleIndex: int64(present.Settle), PaymentIndex: int64(present.Payment),
	}); err != nil {
		return fmt.Errorf("rebase node %s: %w", node.Name, err)
	}
	from, err := a.Store.LowestAddIndex(ctx, node.Name)
	if err != nil {
		return fmt.Errorf("find the first charge: %w", err)
	}
	if err := errors.Join(a.readList(ctx, nudges, uint64(from)), a.sweepPayments(ctx)); err != nil {
		return err
	}
	// Only now: what could not be read must not be paid beside.
	if _, err := a.Store.ThawNode(ctx, node.Name); err != nil {
		return fmt.Errorf("thaw node %s: %w", node.Name, err)
	}

	return nil
}
