package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/telemetry"
)

// readTimeout bounds everything that only asks Postgres.
const readTimeout = 10 * time.Second

// call is one authenticated request.
type call struct {
	*gin.Context
	env *environment
	key identity
	// keyHash finds the key again, for what lasts longer than a key may.
	keyHash [sha256.Size]byte
}

// handler answers a call or says why not.
type handler func(s *Server, c *call) error

// errUnauthorized is one answer for missing, malformed, unknown, revoked,
// expired and foreign keys: the difference is nobody's business.
var errUnauthorized = payments.NewProblem(payments.CodeUnauthorized,
	"Send a valid API key as Authorization: Bearer <key>.")

// authenticated wraps a handler with the key and its scope. What production
// does not have is not found there, whatever the key may do.
func (s *Server) authenticated(r route) gin.HandlerFunc {
	return func(c *gin.Context) {
		authorized, err := s.authenticate(c)
		if err == nil {
			err = s.limitRate(authorized, r)
		}
		if err == nil && strings.HasPrefix(r.path, sandboxPath) && authorized.env.name != payments.Sandbox {
			err = errNotFound
		}
		if err == nil {
			err = authorized.require(r.scope)
		}
		if err == nil {
			err = r.handle(s, authorized)
		}
		if err != nil {
			s.answerError(c, err)
		}
	}
}

// unauthorized is the answer to a request without a good key; an address that
// sends many of those is told to wait.
func (s *Server) unauthorized(c *gin.Context) error {
	if s.failures.allow(c.Request) {
		return errUnauthorized
	}

	return s.rateLimited(limitedByAddress, "Too many requests of this address had no valid API key.")
}

func (s *Server) authenticate(c *gin.Context) (*call, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	env, hash, ok := apikey.Parse(bearer(c.Request.Header))
	if !ok {
		return nil, s.unauthorized(c)
	}
	served, ok := s.environments[env]
	if !ok || (!served.keys.known(hash) && s.failures.exhausted(c.Request)) {
		// Whoever guesses keys does not keep the database busy; a key that was
		// good here before is looked up all the same.
		return nil, s.unauthorized(c)
	}
	key, err := served.keys.find(ctx, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, s.unauthorized(c)
	}
	if err != nil {
		return nil, err
	}

	telemetry.Set(c.Request.Context(), slog.String("environment", string(env)),
		slog.String("workspace_id", key.workspaceID), slog.String("key_id", key.id))
	// Only what can be an id: some put their key into a path.
	id := c.Param("id")
	if prefix, _, _ := strings.Cut(id, "_"); payments.ValidID(prefix, id) {
		telemetry.Set(c.Request.Context(), telemetry.Resource(id))
	}

	return &call{Context: c, env: served, key: key, keyHash: hash}, nil
}

// bearer returns the token of the only Authorization header; the scheme's
// name is case-insensitive (RFC 9110).
func bearer(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}

	return strings.TrimSpace(token)
}

// require refuses a key without the scope.
func (c *call) require(scope apikey.Scope) error {
	if slices.Contains(c.key.scopes, string(scope)) {
		return nil
	}

	return payments.NewProblem(payments.CodeForbidden, "This request needs the scope "+string(scope)+".")
}

// context is the request's, bounded: for reads and for writes that are one
// transaction.
func (c *call) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Request.Context(), readTimeout)
}

// pathID is the id that the path names, if it can be one.
func (c *call) pathID(prefix string) (string, error) {
	id := c.Param("id")
	if !payments.ValidID(prefix, id) {
		return "", errNotFound
	}

	return id, nil
}
