package apikey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

// MaxNameChars bounds a key's name.
const MaxNameChars = 255

// ErrInvalid means that a key may not be made as asked.
var ErrInvalid = errors.New("apikey: invalid")

// New is what a key is made from. ID is chosen by the caller.
type New struct {
	ID          string
	WorkspaceID string
	Name        string
	Scopes      []Scope
	ExpiresAt   *time.Time
}

// CreateKey makes a key of the store's environment for `lntpay key create`, and
// writes to the audit trail who did. The secret is returned once and stored
// nowhere.
func CreateKey(
	ctx context.Context, s *store.Store, by store.Operator, workspaceID, name string, scopes []string, expiresAt *time.Time,
) (row db.ApiKey, secret string, err error) {
	asked := New{
		ID: payments.NewID(payments.PrefixKey), WorkspaceID: workspaceID, Name: name, ExpiresAt: expiresAt,
	}
	for _, scope := range scopes {
		if !Scope(scope).Valid() {
			return db.ApiKey{}, "", fmt.Errorf("scope %q does not exist (there are %v): %w", scope, Scopes(), ErrInvalid)
		}
		asked.Scopes = append(asked.Scopes, Scope(scope))
	}
	if name == "" || len(scopes) == 0 {
		return db.ApiKey{}, "", fmt.Errorf("a key needs a name and a scope: %w", ErrInvalid)
	}

	err = s.Audited(ctx, by, "key_create", asked.ID, func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		row, secret, err = Insert(ctx, q, s.Environment, asked)

		return map[string]any{
			"workspace_id": workspaceID, "name": name, "scopes": row.Scopes, "last4": row.Last4, "expires_at": expiresAt,
		}, err
	})
	if err != nil {
		return db.ApiKey{}, "", err
	}

	return row, secret, nil
}

// Insert makes a key through q, which may be in a transaction. What is asked
// has been validated.
func Insert(ctx context.Context, q *db.Queries, env payments.Environment, asked New) (row db.ApiKey, secret string, err error) {
	secret, hash, last4 := NewKey(env)
	row, err = q.InsertAPIKey(ctx, db.InsertAPIKeyParams{
		ID: asked.ID, WorkspaceID: asked.WorkspaceID, Name: asked.Name, Scopes: distinct(asked.Scopes),
		SecretSha256: hash, Last4: last4, ExpiresAt: asked.ExpiresAt,
	})
	if err != nil {
		return db.ApiKey{}, "", fmt.Errorf("insert api key: %w", err)
	}

	return row, secret, nil
}

// distinct keeps the order of the first mention.
func distinct(scopes []Scope) []string {
	texts := make([]string, 0, len(scopes))
	for _, scope := range scopes {
		if !slices.Contains(texts, string(scope)) {
			texts = append(texts, string(scope))
		}
	}

	return texts
}
