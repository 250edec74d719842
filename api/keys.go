package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// keyObject is the public shape of a key. Secret is only in the first answer
// to its creation.
type keyObject struct {
	ID          string               `json:"id"`
	Object      string               `json:"object"`
	Environment payments.Environment `json:"environment"`
	Name        string               `json:"name"`
	Scopes      []string             `json:"scopes"`
	Secret      string               `json:"secret,omitempty"`
	Last4       string               `json:"last4"`
	ExpiresAt   *time.Time           `json:"expires_at"`
	CreatedAt   time.Time            `json:"created_at"`
}

// keyRequest is a validated POST /v1/keys.
type keyRequest struct {
	Name      string         `json:"name"`
	Scopes    []apikey.Scope `json:"scopes"`
	ExpiresAt *time.Time     `json:"expires_at"`
}

// createKey is POST /v1/keys.
func (s *Server) createKey(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	request, err := parseKeyRequest(body)
	if err != nil {
		return err
	}
	if err := c.mayGrant(request); err != nil {
		return err
	}
	id := payments.NewID(payments.PrefixKey)
	p := post{key: key, body: body, resourceID: id, request: request}

	return s.atOnce(c, p, func(ctx context.Context, q *db.Queries) (remember, send any, err error) {
		row, secret, err := apikey.Insert(ctx, q, c.env.name, apikey.New{
			ID: id, WorkspaceID: c.key.workspaceID, Name: request.Name,
			Scopes: request.Scopes, ExpiresAt: request.ExpiresAt,
		})
		// Judged here, by Postgres' clock: a replay must not be judged again.
		if err == nil && row.ExpiresAt != nil && !row.ExpiresAt.After(row.CreatedAt) {
			return nil, nil, invalid("Some fields are not valid.",
				payments.FieldError{Field: "expires_at", Message: "must be in the future"})
		}
		object := c.keyOf(row)
		shown := object
		shown.Secret = secret

		return object, shown, err
	})
}

func parseKeyRequest(body []byte) (keyRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return keyRequest{}, err
	}
	request := keyRequest{Name: f.required("name", apikey.MaxNameChars), ExpiresAt: f.time("expires_at")}
	for _, text := range f.texts("scopes", len(apikey.Scopes())) {
		if !apikey.Scope(text).Valid() {
			f.fail("scopes", "has an unknown scope")
		}
		request.Scopes = append(request.Scopes, apikey.Scope(text))
	}

	return request, f.result()
}

// mayGrant refuses a key that could do or live more than the one that asks.
func (c *call) mayGrant(request keyRequest) error {
	for _, scope := range request.Scopes {
		if !slices.Contains(c.key.scopes, string(scope)) {
			return payments.NewProblem(payments.CodeForbidden,
				"A key cannot grant a scope that it lacks: "+string(scope)+".")
		}
	}
	if end := c.key.expiresAt; end != nil && (request.ExpiresAt == nil || request.ExpiresAt.After(*end)) {
		return payments.NewProblem(payments.CodeForbidden,
			"A key cannot make one that outlives it: give expires_at at or before "+end.UTC().Format(time.RFC3339)+".")
	}

	return nil
}

func (c *call) keyOf(row db.ApiKey) keyObject {
	object := keyObject{
		ID: row.ID, Object: "key", Environment: c.env.name, Name: row.Name, Scopes: row.Scopes,
		Last4: row.Last4, CreatedAt: row.CreatedAt.UTC(),
	}
	if row.ExpiresAt != nil {
		expiresAt := row.ExpiresAt.UTC()
		object.ExpiresAt = &expiresAt
	}

	return object
}

// listKeys is GET /v1/keys; revoked keys are gone.
func (s *Server) listKeys(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	page := q.page(payments.PrefixKey)
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.env.Store.ReadAPIKeyPage(ctx, db.ReadAPIKeyPageParams{
		WorkspaceID: c.key.workspaceID, BeforeID: page.before, MaxRows: page.rows(),
	})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, page.limit, func(row db.ApiKey) string { return row.ID }, c.keyOf))

	return nil
}

// deleteKey is DELETE /v1/keys/{id}. The key stops working here at once, and
// in other processes when their cache has forgotten it.
func (s *Server) deleteKey(c *call) error {
	id := c.Param("id")
	if !payments.ValidID(payments.PrefixKey, id) {
		return errNotFound
	}
	ctx, cancel := c.context()
	defer cancel()
	revoked, err := c.env.Store.RevokeAPIKey(ctx, db.RevokeAPIKeyParams{ID: id, WorkspaceID: c.key.workspaceID})
	// Also after an error: it may have been committed all the same.
	c.env.keys.purge()
	if err != nil {
		return err
	}
	if revoked == 0 {
		return errNotFound
	}
	c.Status(http.StatusNoContent)

	return nil
}
