package ledger

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
)

// headsCheck goes through the heads, each with the blocks and the rows of the
// audit trail that it commits to.
type headsCheck struct {
	*chainCheck

	heads   pages[ledgerdb.LedgerHead]
	blocks  pages[ledgerdb.BlocksByHeadPageRow]
	actions pages[ledgerdb.SealedActionsPageRow]
}

func (c *chainCheck) openHeads(ctx context.Context) *headsCheck {
	return &headsCheck{
		chainCheck: c,
		heads: pages[ledgerdb.LedgerHead]{fetch: func(after *ledgerdb.LedgerHead) ([]ledgerdb.LedgerHead, error) {
			in := ledgerdb.HeadsPageParams{MaxRows: chainPage}
			if after != nil {
				in.AfterNumber = after.Number
			}

			return c.q.HeadsPage(ctx, in)
		}},
		blocks: pages[ledgerdb.BlocksByHeadPageRow]{
			fetch: func(after *ledgerdb.BlocksByHeadPageRow) ([]ledgerdb.BlocksByHeadPageRow, error) {
				in := ledgerdb.BlocksByHeadPageParams{AfterHead: math.MinInt64, MaxRows: chainPage}
				if after != nil {
					in.AfterHead, in.AfterWorkspace, in.AfterNumber = after.Head, after.WorkspaceID, after.Number
				}

				return c.q.BlocksByHeadPage(ctx, in)
			},
		},
		actions: pages[ledgerdb.SealedActionsPageRow]{
			fetch: func(after *ledgerdb.SealedActionsPageRow) ([]ledgerdb.SealedActionsPageRow, error) {
				in := ledgerdb.SealedActionsPageParams{AfterHead: math.MinInt64, MaxRows: chainPage}
				if after != nil {
					in.AfterHead, in.AfterAction = after.Head, after.ActionID
				}

				return c.q.SealedActionsPage(ctx, in)
			},
		},
	}
}

// heads checks the chain of heads.
func (c *chainCheck) heads(ctx context.Context) error {
	h := c.openHeads(ctx)
	number, previous := int64(0), noHash()
	for {
		head, err := h.heads.peek()
		if err != nil {
			return fmt.Errorf("read heads: %w", err)
		}
		if head == nil {
			break
		}
		h.heads.next()
		if head.Number != number+1 {
			h.fail("", 0, "head %d follows head %d: heads are missing", head.Number, number)
		}
		if !bytes.Equal(head.Previous, previous) {
			h.fail("", 0, "head %d does not name the hash of the head before", head.Number)
		}
		if err := h.check(head); err != nil {
			return fmt.Errorf("check head %d: %w", head.Number, err)
		}
		number, previous = head.Number, head.Hash
	}
	if number > 0 {
		c.report.Head, c.report.Hash = number, previous
	}
	if err := h.stray(math.MaxInt64); err != nil {
		return err
	}
	unsealed, err := c.q.CountUnsealedActions(ctx)
	if err != nil {
		return fmt.Errorf("count the unsealed audit trail: %w", err)
	}
	c.report.UnsealedActions = unsealed

	return nil
}

// check recomputes one head.
func (h *headsCheck) check(head *ledgerdb.LedgerHead) error {
	h.report.Heads++
	if h.Head != nil && bytes.Equal(head.Hash, h.Head) {
		h.report.FoundHead = head.Number
	}
	if err := h.stray(head.Number); err != nil {
		return err
	}
	sum := hashHead(*head)
	if err := h.takeBlocks(sum, head); err != nil {
		return err
	}
	if err := h.takeActions(sum, head); err != nil {
		return err
	}
	if !bytes.Equal(sum.end(), head.Hash) {
		h.fail("", 0, "head %d is not what was sealed at %s: it, a block or a row of the audit trail is altered or missing",
			head.Number, sealedAt(head.SealedAt))
	}

	return nil
}

func (h *headsCheck) takeBlocks(sum *hasher, head *ledgerdb.LedgerHead) error {
	n := int64(0)
	for ; ; n++ {
		block, err := h.blocks.peek()
		if err != nil {
			return err
		}
		if block == nil || block.Head != head.Number {
			break
		}
		sum.block(block.WorkspaceID, block.Number, block.Hash)
		h.blocks.next()
	}
	if n != head.Blocks {
		h.fail("", 0, "head %d commits to %d blocks, %d are there", head.Number, head.Blocks, n)
	}

	return nil
}

func (h *headsCheck) takeActions(sum *hasher, head *ledgerdb.LedgerHead) error {
	n := int64(0)
	for ; ; n++ {
		row, err := h.actions.peek()
		if err != nil {
			return err
		}
		if row == nil || row.Head != head.Number {
			break
		}
		if row.Found {
			h.report.Actions++
			sum.action(action{
				ID: row.ActionID, Actor: row.Actor, Action: row.Action, Target: row.Target, Reason: row.Reason,
				Detail: row.Detail, CreatedAt: row.CreatedAt,
			})
		} else {
			h.fail("", 0, "row %d of the audit trail, sealed by head %d, is missing", row.ActionID, head.Number)
		}
		h.actions.next()
	}
	if n != head.Actions {
		h.fail("", 0, "head %d commits to %d rows of the audit trail, %d are there", head.Number, head.Actions, n)
	}

	return nil
}

// stray passes over what names a head below the given one that is not there.
func (h *headsCheck) stray(below int64) error {
	for {
		block, err := h.blocks.peek()
		if err != nil {
			return err
		}
		if block == nil || block.Head >= below {
			break
		}
		h.fail(block.WorkspaceID, 0, "block %d names head %d, which is missing", block.Number, block.Head)
		h.blocks.next()
	}
	for {
		row, err := h.actions.peek()
		if err != nil {
			return err
		}
		if row == nil || row.Head >= below {
			return nil
		}
		h.fail("", 0, "row %d of the audit trail names head %d, which is missing", row.ActionID, row.Head)
		h.actions.next()
	}
}
