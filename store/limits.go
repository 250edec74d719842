package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/store/db"
)

// Names of the limits that a workspace may have of its own: those of the
// settings within an environment, which are the default. The values are whole
// numbers in the setting's unit; 0 is no limit.
const (
	LimitKeyPerSecond         = "limits.key_per_second"
	LimitKeyBurst             = "limits.key_burst"
	LimitWorkspacePerSecond   = "limits.workspace_per_second"
	LimitWorkspaceBurst       = "limits.workspace_burst"
	LimitWithdrawalsPerSecond = "limits.withdrawals_per_second"
	LimitWithdrawalsBurst     = "limits.withdrawals_burst"
	LimitKeyWaits             = "limits.key_waits"
	LimitWorkspaceWaits       = "limits.workspace_waits"
	LimitOpenCharges          = "limits.open_charges"
	LimitMaxAmountMsat        = "payouts.max_amount_msat"
	LimitWorkspaceDailyMsat   = "payouts.workspace_daily_msat"
	LimitWorkspaceOpen        = "payouts.workspace_open"
	LimitWorkspaceOpenMsat    = "payouts.workspace_open_msat"
)

// LimitNames are all of them.
func LimitNames() []string {
	return []string{
		LimitKeyPerSecond, LimitKeyBurst, LimitWorkspacePerSecond, LimitWorkspaceBurst,
		LimitWithdrawalsPerSecond, LimitWithdrawalsBurst, LimitKeyWaits, LimitWorkspaceWaits, LimitOpenCharges,
		LimitMaxAmountMsat, LimitWorkspaceDailyMsat, LimitWorkspaceOpen, LimitWorkspaceOpenMsat,
	}
}

// Overrides are a workspace's own limits by name; q may be in the transaction
// that judges by them.
func Overrides(ctx context.Context, q *db.Queries, workspaceID string) (map[string]int64, error) {
	rows, err := q.WorkspaceLimits(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("read the limits of %s: %w", workspaceID, err)
	}
	overrides := make(map[string]int64, len(rows))
	for _, row := range rows {
		overrides[row.Name] = *row.Value
	}

	return overrides, nil
}

// SetLimits gives a workspace limits of its own; a value of nil has the setting
// hold again, and limits that are not named stay as they are. It returns all
// that the workspace then has of its own. ErrNotFound: no such workspace.
func (s *Store) SetLimits(ctx context.Context, workspaceID string, values map[string]*int64, by Operator,
) (after map[string]int64, err error) {
	err = s.Audited(ctx, by, "limits", workspaceID, func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		if _, err := q.GetWorkspace(ctx, workspaceID); err != nil {
			return nil, missing(workspaceID, err)
		}
		before, err := Overrides(ctx, q, workspaceID)
		if err != nil {
			return nil, err
		}
		// In the order of names, so that two operators do not wait for each other.
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if err := q.SetWorkspaceLimit(ctx, db.SetWorkspaceLimitParams{
				WorkspaceID: workspaceID, Name: name, Value: values[name],
			}); err != nil {
				return nil, fmt.Errorf("set %s: %w", name, err)
			}
		}
		after, err = Overrides(ctx, q, workspaceID)

		return map[string]any{"set": values, "before": before}, err
	})

	return after, err
}
