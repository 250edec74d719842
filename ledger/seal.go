package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
)

// What one call of Seal does at most: some 100 ms of work.
const (
	maxBlockTransfers = 10_000
	maxSealTransfers  = 50_000
	maxSealWorkspaces = 1_000
	maxSealActions    = 1_000
)

// Sealed is what one call of Seal has sealed.
type Sealed struct {
	// Head is the number of the new head and Hash its hash; 0 and nil if there
	// was nothing to seal, or somebody else is sealing.
	Head int64
	Hash []byte
	// Blocks, Transfers and Actions count what the head adds to the chain.
	Blocks, Transfers, Actions int
	// More says that there was more than fits into one call.
	More bool
	// Breaks are workspaces with a gap in their transfers: nothing behind the
	// gap is sealed.
	Breaks []ChainBreak
}

// Seal seals transfers and rows of the audit trail that no block holds yet, as
// many as fit into one call. It locks no row of a writer: what is visible of a
// workspace's sequence is complete, since numbers are given out under the lock
// of the balance. tx is READ COMMITTED; two at once are harmless.
func Seal(ctx context.Context, tx pgx.Tx) (Sealed, error) {
	q := ledgerdb.New(tx)
	// In a statement before all others, whose snapshots then have what the
	// sealer before has committed.
	alone, err := q.TrySealing(ctx)
	if err != nil || !alone {
		return Sealed{}, err
	}
	head, err := nextHead(ctx, q)
	if err != nil {
		return Sealed{}, err
	}
	blocks, sealed, err := nextBlocks(ctx, q, head)
	if err != nil {
		return Sealed{}, err
	}
	actions, err := q.UnsealedActions(ctx, maxSealActions)
	if err != nil {
		return Sealed{}, fmt.Errorf("read the audit trail: %w", err)
	}
	sealed.Blocks, sealed.Actions = len(blocks.WorkspaceIds), len(actions)
	sealed.More = sealed.More || sealed.Actions == maxSealActions
	if sealed.Blocks+sealed.Actions == 0 {
		return sealed, nil
	}
	sealed.Head = head.Number
	sealed.Hash, err = writeHead(ctx, q, head, blocks, actions)

	return sealed, err
}

// nextHead is the head to be, without its hash and counts.
func nextHead(ctx context.Context, q *ledgerdb.Queries) (ledgerdb.LedgerHead, error) {
	head := ledgerdb.LedgerHead{Number: 1, Previous: noHash()}
	tip, err := q.ChainTip(ctx)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return head, fmt.Errorf("read the head: %w", err)
	}
	if err == nil {
		head.Number, head.Previous = tip.Number+1, tip.Hash
	}
	if head.SealedAt, err = q.ChainClock(ctx); err != nil {
		return head, fmt.Errorf("read the clock: %w", err)
	}

	return head, nil
}

// nextBlocks makes one block of each workspace that has transfers to seal.
func nextBlocks(ctx context.Context, q *ledgerdb.Queries, head ledgerdb.LedgerHead) (ledgerdb.AddBlocksParams, Sealed, error) {
	blocks := ledgerdb.AddBlocksParams{Head: head.Number, SealedAt: head.SealedAt}
	sealed := Sealed{}
	due, ranges, more, err := dueRanges(ctx, q)
	sealed.More = more
	if err != nil || len(due) == 0 {
		return blocks, sealed, err
	}
	transfers, err := q.TransferRanges(ctx, ranges)
	if err != nil {
		return blocks, sealed, fmt.Errorf("read transfers to seal: %w", err)
	}
	byWorkspace := map[string][]ledgerdb.Transfer{}
	for _, transfer := range transfers {
		byWorkspace[transfer.WorkspaceID] = append(byWorkspace[transfer.WorkspaceID], transfer)
	}
	for i, one := range due {
		found := byWorkspace[one.WorkspaceID]
		first, last := ranges.AfterSequences[i]+1, ranges.LastSequences[i]
		if missing := firstGap(found, first, last); missing != 0 {
			sealed.Breaks = append(sealed.Breaks, ChainBreak{
				WorkspaceID: one.WorkspaceID, Sequence: missing, What: "the transfer is missing: nothing from here on is sealed",
			})

			continue
		}
		sealed.Transfers += len(found)
		block := ledgerdb.LedgerBlock{
			WorkspaceID: one.WorkspaceID, Number: one.Number + 1, FirstSequence: first, LastSequence: last,
			Previous: one.Hash, SealedAt: head.SealedAt,
		}
		addBlock(&blocks, block, found)
	}

	return blocks, sealed, nil
}

// dueRanges chooses what fits into one call; more says that not all did.
func dueRanges(ctx context.Context, q *ledgerdb.Queries) (due []ledgerdb.UnsealedWorkspacesRow,
	ranges ledgerdb.TransferRangesParams, more bool, err error,
) {
	due, err = q.UnsealedWorkspaces(ctx, maxSealWorkspaces)
	if err != nil {
		return nil, ranges, false, fmt.Errorf("find transfers to seal: %w", err)
	}
	more = len(due) == maxSealWorkspaces
	room := int64(maxSealTransfers)
	for i, one := range due {
		if room == 0 {
			return due[:i], ranges, true, nil
		}
		n := min(one.Version-one.SealedTo, maxBlockTransfers, room)
		more = more || n < one.Version-one.SealedTo
		room -= n
		ranges.WorkspaceIds = append(ranges.WorkspaceIds, one.WorkspaceID)
		ranges.AfterSequences = append(ranges.AfterSequences, one.SealedTo)
		ranges.LastSequences = append(ranges.LastSequences, one.SealedTo+n)
	}

	return due, ranges, more, nil
}

// firstGap is the first sequence from first to last that is missing; 0 if none
// is.
func firstGap(transfers []ledgerdb.Transfer, first, last int64) int64 {
	for i := range transfers {
		if transfers[i].Sequence != first+int64(i) {
			return first + int64(i)
		}
	}
	if next := first + int64(len(transfers)); next <= last {
		return next
	}

	return 0
}

// addBlock hashes a block and adds it to those to be written.
func addBlock(blocks *ledgerdb.AddBlocksParams, block ledgerdb.LedgerBlock, transfers []ledgerdb.Transfer) {
	if block.Previous == nil {
		block.Previous = noHash()
	}
	h := hashBlock(block)
	for i := range transfers {
		h.transfer(&transfers[i])
	}
	blocks.WorkspaceIds = append(blocks.WorkspaceIds, block.WorkspaceID)
	blocks.Numbers = append(blocks.Numbers, block.Number)
	blocks.FirstSequences = append(blocks.FirstSequences, block.FirstSequence)
	blocks.LastSequences = append(blocks.LastSequences, block.LastSequence)
	blocks.Previous = append(blocks.Previous, block.Previous)
	blocks.Hashes = append(blocks.Hashes, h.end())
}

// writeHead writes blocks, seals of the audit trail and the head over both, and
// returns its hash.
func writeHead(ctx context.Context, q *ledgerdb.Queries, head ledgerdb.LedgerHead, blocks ledgerdb.AddBlocksParams,
	actions []ledgerdb.UnsealedActionsRow,
) ([]byte, error) {
	head.Blocks, head.Actions = int64(len(blocks.WorkspaceIds)), int64(len(actions))
	h := hashHead(head)
	order := make([]int, len(blocks.WorkspaceIds))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(blocks.WorkspaceIds[a], blocks.WorkspaceIds[b]) })
	for _, i := range order {
		h.block(blocks.WorkspaceIds[i], blocks.Numbers[i], blocks.Hashes[i])
	}
	seals := ledgerdb.AddActionSealsParams{Head: head.Number}
	for _, a := range actions {
		h.action(action(a))
		seals.ActionIds = append(seals.ActionIds, a.ID)
	}
	head.Hash = h.end()
	if err := q.AddBlocks(ctx, blocks); err != nil {
		return nil, fmt.Errorf("write %d blocks: %w", head.Blocks, err)
	}
	if err := q.AddActionSeals(ctx, seals); err != nil {
		return nil, fmt.Errorf("seal %d rows of the audit trail: %w", head.Actions, err)
	}
	if err := q.AddHead(ctx, ledgerdb.AddHeadParams(head)); err != nil {
		return nil, fmt.Errorf("write head %d: %w", head.Number, err)
	}

	return head.Hash, nil
}

// Unsealed counts the transfers that no block holds yet.
func Unsealed(ctx context.Context, db ledgerdb.DBTX) (int64, error) {
	n, err := ledgerdb.New(db).CountUnsealed(ctx)
	if err != nil {
		return 0, fmt.Errorf("count unsealed transfers: %w", err)
	}

	return n, nil
}
