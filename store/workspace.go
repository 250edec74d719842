package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// AddWorkspace creates a workspace with its accounts, for programs; operators
// leave their name: AddWorkspaceAs.
func (s *Store) AddWorkspace(ctx context.Context, name string) (workspace db.Workspace, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		workspace, err = addWorkspace(ctx, tx, q, payments.NewID(payments.PrefixWorkspace), name)

		return err
	})

	return workspace, err
}

// AddWorkspaceAs is AddWorkspace by an operator, written to the audit trail.
func (s *Store) AddWorkspaceAs(ctx context.Context, name string, by Operator) (workspace db.Workspace, err error) {
	id := payments.NewID(payments.PrefixWorkspace)
	err = s.Audited(ctx, by, "workspace_create", id, func(tx pgx.Tx, q *db.Queries) (map[string]any, error) {
		workspace, err = addWorkspace(ctx, tx, q, id, name)

		return map[string]any{"name": name}, err
	})

	return workspace, err
}

func addWorkspace(ctx context.Context, tx pgx.Tx, q *db.Queries, id, name string) (db.Workspace, error) {
	workspace, err := q.CreateWorkspace(ctx, db.CreateWorkspaceParams{ID: id, Name: name})
	if err != nil {
		return workspace, fmt.Errorf("create workspace: %w", err)
	}

	return workspace, ledger.OpenAccounts(ctx, tx, workspace.ID)
}
