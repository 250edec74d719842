package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// AddWorkspace creates a workspace with its accounts.
func (s *Store) AddWorkspace(ctx context.Context, name string) (db.Workspace, error) {
	var workspace db.Workspace
	err := s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
		workspace, err = q.CreateWorkspace(ctx, db.CreateWorkspaceParams{
			ID: payments.NewID(payments.PrefixWorkspace), Name: name,
		})
		if err != nil {
			return fmt.Errorf("create workspace: %w", err)
		}

		return ledger.OpenAccounts(ctx, tx, workspace.ID)
	})

	return workspace, err
}
