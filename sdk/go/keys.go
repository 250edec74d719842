package lntpay

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Keys are the API keys of the workspace.
type Keys struct{ c *Client }

// Scope is what a key may do.
type Scope string

// The scopes.
const (
	ScopeChargesRead      Scope = "charges:read"
	ScopeChargesWrite     Scope = "charges:write"
	ScopeWithdrawalsRead  Scope = "withdrawals:read"
	ScopeWithdrawalsWrite Scope = "withdrawals:write"
	ScopeLedgerRead       Scope = "ledger:read"
	ScopeWebhooksRead     Scope = "webhooks:read"
	ScopeWebhooksWrite    Scope = "webhooks:write"
	ScopeKeysRead         Scope = "keys:read"
	ScopeKeysWrite        Scope = "keys:write"
)

// Key is an API key.
type Key struct {
	ID          string      `json:"id"`
	Environment Environment `json:"environment"`
	Name        string      `json:"name"`
	Scopes      []Scope     `json:"scopes"`
	// Secret is the key itself. Only Create has it.
	Secret string `json:"secret,omitempty"`
	Last4  string `json:"last4"`
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	CreatedAt time.Time `json:"created_at"`
}

// KeyParams describe a new key. It gets no scope that the client's own key
// lacks, and does not outlive that.
type KeyParams struct {
	Name   string  `json:"name"`
	Scopes []Scope `json:"scopes"`
	// ExpiresAt is never if zero.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

const keysPath = "/v1/keys"

// Create makes a key and shows its secret, this once: see [ErrSecretLost]. It
// needs the scope keys:write.
func (s *Keys) Create(ctx context.Context, params KeyParams, options ...WriteOption) (*Key, error) {
	key, err := call[Key](ctx, s.c, post(keysPath, params, options))
	if err == nil && key.Secret == "" {
		return key, ErrSecretLost
	}

	return key, err
}

// List is the keys that were not deleted, the newest first. It needs the scope
// keys:read.
func (s *Keys) List(ctx context.Context) iter.Seq2[*Key, error] {
	return list[Key](ctx, s.c, keysPath, query(), pageSize)
}

// Delete ends a key within 30 seconds. It needs the scope keys:write.
func (s *Keys) Delete(ctx context.Context, id string) error {
	return s.c.do(ctx, request{method: http.MethodDelete, path: keysPath}.on(id, ""), nil)
}
