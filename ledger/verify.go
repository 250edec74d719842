package ledger

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
)

// ChainBreak is a place where the books are not what was sealed, or do not fit
// together.
type ChainBreak struct {
	// WorkspaceID is "" for heads and the audit trail.
	WorkspaceID string `json:"workspace_id,omitempty"`
	// Sequence is the transfer, or the first of the block; 0 for heads and the
	// audit trail.
	Sequence int64  `json:"sequence,omitempty"`
	What     string `json:"what"`
}

// ChainCheck says what to check.
type ChainCheck struct {
	// WorkspaceID narrows transfers and blocks; "" is all. The heads are
	// checked whole.
	WorkspaceID string
	// Head is the hash of a head that was once seen and kept elsewhere; nil if
	// none was.
	Head []byte
}

// ChainReport is what was read and what is wrong.
type ChainReport struct {
	Workspaces, Transfers, Blocks, Heads, Actions int64
	// UnsealedTransfers and UnsealedActions are those that came after the last
	// head: their place and sums are checked, their past is not known yet.
	UnsealedTransfers, UnsealedActions int64
	// Head is the last head's number, 0 if there is none, and Hash its hash.
	Head int64
	Hash []byte
	// FoundHead is the number of the head that was asked for; 0 if it is not
	// there.
	FoundHead int64
	Breaks    []ChainBreak
	// More says that there are breaks beyond maxBreaks.
	More bool
}

const (
	// maxBreaks bounds the memory of a check of books that are all wrong.
	maxBreaks = 1_000
	chainPage = 5_000
)

// VerifyChain recomputes the hash chain of a workspace, or of all if
// workspaceID is "", and returns where it is broken: altered, missing, inserted
// or reordered transfers, blocks, heads and rows of the audit trail, balances
// that are not the sum of their transfers. An empty result means that there is
// none. It needs constant memory and takes pages of the database, so db must be
// one snapshot: a REPEATABLE READ transaction.
func VerifyChain(ctx context.Context, db ledgerdb.DBTX, workspaceID string) ([]ChainBreak, error) {
	report, err := CheckChain(ctx, db, ChainCheck{WorkspaceID: workspaceID})

	return report.Breaks, err
}

// CheckChain is VerifyChain with a head to look for and with counts.
func CheckChain(ctx context.Context, db ledgerdb.DBTX, in ChainCheck) (ChainReport, error) {
	c := &chainCheck{ChainCheck: in, q: ledgerdb.New(db)}
	if err := c.workspaces(ctx); err != nil {
		return c.report, err
	}
	if err := c.heads(ctx); err != nil {
		return c.report, err
	}
	if in.Head != nil && c.report.FoundHead == 0 {
		c.fail("", 0, "no head has the hash %x: heads were cut off or altered, or the database is restored from before it", in.Head)
	}

	return c.report, nil
}

type chainCheck struct {
	ChainCheck

	q      *ledgerdb.Queries
	report ChainReport
}

func (c *chainCheck) fail(workspaceID string, sequence int64, format string, args ...any) {
	if len(c.report.Breaks) == maxBreaks {
		c.report.More = true

		return
	}
	c.report.Breaks = append(c.report.Breaks, ChainBreak{
		WorkspaceID: workspaceID, Sequence: sequence, What: fmt.Sprintf(format, args...),
	})
}

// pages reads rows in order, a page at a time.
type pages[T any] struct {
	// fetch reads the page behind a row; nil asks for the first.
	fetch func(after *T) ([]T, error)
	rows  []T
	last  *T
	ended bool
}

// peek is the next row, or nil at the end.
func (p *pages[T]) peek() (*T, error) {
	if len(p.rows) == 0 && !p.ended {
		rows, err := p.fetch(p.last)
		if err != nil {
			return nil, err
		}
		p.rows, p.ended = rows, len(rows) < chainPage
		if len(rows) > 0 {
			p.last = &rows[len(rows)-1]
		}
	}
	if len(p.rows) == 0 {
		return nil, nil //nolint:nilnil // The end is no error.
	}

	return &p.rows[0], nil
}

func (p *pages[T]) next() { p.rows = p.rows[1:] }

// books are the three streams of the workspaces, each in the order of theirs.
type books struct {
	balances  pages[ledgerdb.BalancesPageRow]
	blocks    pages[ledgerdb.LedgerBlock]
	transfers pages[ledgerdb.Transfer]
}

func (c *chainCheck) openBooks(ctx context.Context) *books {
	one := c.WorkspaceID

	return &books{
		balances: pages[ledgerdb.BalancesPageRow]{fetch: func(after *ledgerdb.BalancesPageRow) ([]ledgerdb.BalancesPageRow, error) {
			in := ledgerdb.BalancesPageParams{WorkspaceID: one, MaxRows: chainPage}
			if after != nil {
				in.AfterWorkspace = after.WorkspaceID
			}

			return c.q.BalancesPage(ctx, in)
		}},
		blocks: pages[ledgerdb.LedgerBlock]{fetch: func(after *ledgerdb.LedgerBlock) ([]ledgerdb.LedgerBlock, error) {
			in := ledgerdb.BlocksPageParams{MaxRows: chainPage}
			if after != nil {
				in.AfterWorkspace, in.AfterNumber = after.WorkspaceID, after.Number
			}
			if one != "" {
				return c.q.WorkspaceBlocksPage(ctx, ledgerdb.WorkspaceBlocksPageParams{
					WorkspaceID: one, AfterNumber: in.AfterNumber, MaxRows: chainPage,
				})
			}

			return c.q.BlocksPage(ctx, in)
		}},
		transfers: pages[ledgerdb.Transfer]{fetch: func(after *ledgerdb.Transfer) ([]ledgerdb.Transfer, error) {
			in := ledgerdb.TransfersPageParams{MaxRows: chainPage}
			if after != nil {
				in.AfterWorkspace, in.AfterSequence = after.WorkspaceID, after.Sequence
			}
			if one != "" {
				return c.q.WorkspaceTransfersPage(ctx, ledgerdb.WorkspaceTransfersPageParams{
					WorkspaceID: one, AfterSequence: in.AfterSequence, MaxRows: chainPage,
				})
			}

			return c.q.TransfersPage(ctx, in)
		}},
	}
}

// workspaces checks the books of each workspace that any of the streams has.
func (c *chainCheck) workspaces(ctx context.Context) error {
	b := c.openBooks(ctx)
	for {
		balance, err := b.balances.peek()
		if err != nil {
			return fmt.Errorf("read balances: %w", err)
		}
		block, err := b.blocks.peek()
		if err != nil {
			return fmt.Errorf("read blocks: %w", err)
		}
		transfer, err := b.transfers.peek()
		if err != nil {
			return fmt.Errorf("read transfers: %w", err)
		}
		id, found := "", false
		least := func(candidate string) {
			if !found || candidate < id {
				id, found = candidate, true
			}
		}
		if balance != nil {
			least(balance.WorkspaceID)
		}
		if block != nil {
			least(block.WorkspaceID)
		}
		if transfer != nil {
			least(transfer.WorkspaceID)
		}
		if !found {
			return nil
		}
		c.report.Workspaces++
		w := &workspaceCheck{chainCheck: c, books: b, id: id, previous: noHash()}
		if err := w.run(); err != nil {
			return fmt.Errorf("check %s: %w", id, err)
		}
	}
}

// workspaceCheck goes through the books of one workspace.
type workspaceCheck struct {
	*chainCheck
	*books

	id string
	// sequence, available and locked are those of the last transfer.
	sequence, available, locked int64
	// block, sealedTo and previous are those of the last block.
	block, sealedTo int64
	previous        []byte
}

func (w *workspaceCheck) run() error {
	for {
		block, err := w.blocks.peek()
		if err != nil {
			return err
		}
		if block == nil || block.WorkspaceID != w.id {
			break
		}
		if err := w.sealed(block); err != nil {
			return err
		}
		w.blocks.next()
	}
	unsealed, err := w.upTo(nil, math.MaxInt64)
	if err != nil {
		return err
	}
	w.report.UnsealedTransfers += unsealed

	return w.balance()
}

// sealed checks a block and its transfers.
func (w *workspaceCheck) sealed(block *ledgerdb.LedgerBlock) error {
	w.report.Blocks++
	if block.Number != w.block+1 || block.FirstSequence != w.sealedTo+1 {
		w.fail(w.id, w.sealedTo+1, "block %d from transfer %d on follows block %d up to transfer %d: blocks are missing or altered",
			block.Number, block.FirstSequence, w.block, w.sealedTo)
	}
	if !bytes.Equal(block.Previous, w.previous) {
		w.fail(w.id, block.FirstSequence, "block %d does not name the hash of the block before", block.Number)
	}
	if _, err := w.upTo(nil, block.FirstSequence-1); err != nil {
		return err
	}
	h := hashBlock(*block)
	if _, err := w.upTo(h, block.LastSequence); err != nil {
		return err
	}
	if !bytes.Equal(h.end(), block.Hash) {
		w.fail(w.id, block.FirstSequence, "block %d, transfers %d to %d, is not what was sealed at %s",
			block.Number, block.FirstSequence, block.LastSequence, sealedAt(block.SealedAt))
	}
	w.block, w.sealedTo, w.previous = block.Number, block.LastSequence, block.Hash

	return nil
}

// upTo takes the transfers up to a sequence, into a hash if there is one.
func (w *workspaceCheck) upTo(h *hasher, last int64) (n int64, err error) {
	for {
		transfer, err := w.transfers.peek()
		if err != nil {
			return n, err
		}
		if transfer == nil || transfer.WorkspaceID != w.id || transfer.Sequence > last {
			return n, nil
		}
		n++
		w.follows(transfer)
		if h != nil {
			h.transfer(transfer)
		}
		w.transfers.next()
	}
}

// follows checks that a transfer is the next one, and that its balances follow
// from those of the one before: that tells which one of a block is altered.
func (w *workspaceCheck) follows(t *ledgerdb.Transfer) {
	w.report.Transfers++
	available, locked := w.available+moves(t, Available), w.locked+moves(t, Locked)
	switch missing := t.Sequence - w.sequence - 1; {
	case missing == 1:
		w.fail(w.id, w.sequence+1, "the transfer is missing")
	case missing > 1:
		w.fail(w.id, w.sequence+1, "the transfers up to %d are missing", t.Sequence-1)
	case available != t.AvailableAfterMsat || locked != t.LockedAfterMsat:
		w.fail(w.id, t.Sequence, "transfer %s leaves %d available and %d locked, and says %d and %d: it or the one before is altered",
			t.ID, available, locked, t.AvailableAfterMsat, t.LockedAfterMsat)
	}
	w.sequence, w.available, w.locked = t.Sequence, t.AvailableAfterMsat, t.LockedAfterMsat
}

// moves is what a transfer adds to an account, in msat.
func moves(t *ledgerdb.Transfer, account Account) int64 {
	switch int16(account) {
	case t.CreditAccount:
		return t.AmountMsat
	case t.DebitAccount:
		return -t.AmountMsat
	}

	return 0
}

// balance checks the balance row against the last transfer, which the others
// add up to.
func (w *workspaceCheck) balance() error {
	if w.sealedTo > w.sequence {
		w.fail(w.id, w.sequence+1, "the transfers up to %d are sealed and missing", w.sealedTo)
	}
	balance, err := w.balances.peek()
	if err != nil {
		return err
	}
	if balance == nil || balance.WorkspaceID != w.id {
		w.fail(w.id, 0, "the balance is missing")

		return nil
	}
	w.balances.next()
	if balance.Version != w.sequence {
		w.fail(w.id, min(balance.Version, w.sequence)+1, "the balance counts %d transfers, the last one is %d", balance.Version, w.sequence)
	}
	if balance.AvailableMsat != w.available || balance.LockedMsat != w.locked {
		w.fail(w.id, w.sequence, "the balance says %d available and %d locked, the transfers come to %d and %d",
			balance.AvailableMsat, balance.LockedMsat, w.available, w.locked)
	}

	return nil
}

func sealedAt(t time.Time) string { return t.UTC().Format(time.RFC3339) }
