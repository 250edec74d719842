package ledger

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
	"github.com/lntpay/lntpay/payments"
)

// Balance reads what a workspace has, by Postgres' clock. A workspace without
// a row has nothing.
func Balance(ctx context.Context, db ledgerdb.DBTX, workspaceID string) (available, locked payments.Msat, asOf time.Time, err error) {
	row, err := ledgerdb.New(db).GetBalance(ctx, workspaceID)
	if err != nil {
		return 0, 0, time.Time{}, fmt.Errorf("read balance of %s: %w", workspaceID, err)
	}

	return payments.Msat(row.AvailableMsat), payments.Msat(row.LockedMsat), row.AsOf, nil
}

// TransferFilter narrows Transfers. Zero fields do not filter.
type TransferFilter struct {
	WorkspaceID string
	Ref         string
	Kind        Kind
	// BeforeSequence is the cursor: only transfers below it.
	BeforeSequence int64
	Limit          int
}

// Transfers lists a workspace's transfers, newest first.
func Transfers(ctx context.Context, db ledgerdb.DBTX, f TransferFilter) ([]Transfer, error) {
	if f.BeforeSequence <= 0 {
		f.BeforeSequence = math.MaxInt64
	}
	rows, err := readTransfers(ctx, ledgerdb.New(db), f)
	if err != nil {
		return nil, fmt.Errorf("list transfers of %s: %w", f.WorkspaceID, err)
	}
	transfers := make([]Transfer, len(rows))
	for i, row := range rows {
		transfers[i] = fromRow(row)
	}

	return transfers, nil
}

// readTransfers takes the query whose index fits the filter.
func readTransfers(ctx context.Context, q *ledgerdb.Queries, f TransferFilter) ([]ledgerdb.Transfer, error) {
	maxRows := int32(f.Limit)
	switch {
	case f.Ref != "":
		return q.ListTransfersByRef(ctx, ledgerdb.ListTransfersByRefParams{
			WorkspaceID: f.WorkspaceID, BeforeSequence: f.BeforeSequence, MaxRows: maxRows, Ref: f.Ref, Kind: string(f.Kind),
		})
	case f.Kind == "":
		return q.ListTransfers(ctx, ledgerdb.ListTransfersParams{
			WorkspaceID: f.WorkspaceID, BeforeSequence: f.BeforeSequence, MaxRows: maxRows,
		})
	case f.Kind == KindChargeSettled:
		return q.ListTransfersOfCharges(ctx, ledgerdb.ListTransfersOfChargesParams{
			WorkspaceID: f.WorkspaceID, BeforeSequence: f.BeforeSequence, MaxRows: maxRows,
		})
	}

	return q.ListTransfersByKind(ctx, ledgerdb.ListTransfersByKindParams{
		WorkspaceID: f.WorkspaceID, BeforeSequence: f.BeforeSequence, MaxRows: maxRows, Kind: string(f.Kind),
	})
}

// Verify checks invariant I2 for one workspace: the balance row equals the sum
// of its transfers, and the sequence has no gap. It is exact when nothing is
// being posted, or inside a REPEATABLE READ transaction.
func Verify(ctx context.Context, db ledgerdb.DBTX, workspaceID string) error {
	q := ledgerdb.New(db)
	balance, err := q.GetBalance(ctx, workspaceID)
	if err != nil {
		return fmt.Errorf("read balance of %s: %w", workspaceID, err)
	}
	sum, err := q.SumTransfers(ctx, workspaceID)
	if err != nil {
		return fmt.Errorf("add up %s: %w", workspaceID, err)
	}
	if sum.AvailableMsat != balance.AvailableMsat || sum.LockedMsat != balance.LockedMsat {
		return fmt.Errorf("ledger: %s: transfers add up to %d/%d, the balance says %d/%d", workspaceID,
			sum.AvailableMsat, sum.LockedMsat, balance.AvailableMsat, balance.LockedMsat)
	}
	if sum.Transfers != sum.LastSequence {
		return fmt.Errorf("ledger: %s: %d transfers but the last sequence is %d", workspaceID, sum.Transfers, sum.LastSequence)
	}

	return nil
}
