package ledger

import (
	"context"
	"fmt"
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
	params := ledgerdb.ListTransfersParams{WorkspaceID: f.WorkspaceID, MaxRows: int32(f.Limit)}
	if f.BeforeSequence > 0 {
		params.BeforeSequence = &f.BeforeSequence
	}
	if f.Ref != "" {
		params.Ref = &f.Ref
	}
	if f.Kind != "" {
		kind := string(f.Kind)
		params.Kind = &kind
	}
	rows, err := ledgerdb.New(db).ListTransfers(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("list transfers of %s: %w", f.WorkspaceID, err)
	}
	transfers := make([]Transfer, len(rows))
	for i, row := range rows {
		transfers[i] = fromRow(row)
	}

	return transfers, nil
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
