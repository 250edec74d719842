package load

import (
	"context"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/store"
)

// NewKey makes a workspace and a key of it with every scope.
func NewKey(ctx context.Context, s *store.Store) (workspaceID, secret string, err error) {
	workspace, err := s.AddWorkspace(ctx, "test")
	if err != nil {
		return "", "", err
	}
	var scopes []string
	for _, scope := range apikey.Scopes() {
		scopes = append(scopes, string(scope))
	}
	_, secret, err = apikey.CreateKey(ctx, s, store.Operator{Name: "test", Reason: "test"}, workspace.ID, "test", scopes, nil)

	return workspace.ID, secret, err
}
