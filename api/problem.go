package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

const (
	contentJSON    = "application/json"
	contentProblem = "application/problem+json"
	// retryAfterSeconds is what a client waits after a 503.
	retryAfterSeconds = "1"
)

// errNotFound is the one answer for what does not exist, is another
// workspace's or another environment's.
var errNotFound = payments.NewProblem(payments.CodeNotFound, "No such object exists for this API key.")

// errUnavailable hides what is away: the reason is in the log, not the answer.
var errUnavailable = payments.NewProblem(payments.CodeServiceUnavailable,
	"The request could not be completed now. Repeat it with the same Idempotency-Key.")

// answerError writes the problem of err. Only the texts of payments.Problem
// reach a client.
func (s *Server) answerError(c *gin.Context, err error) {
	problem := problemOf(err)
	if !foretold(err) && c.Request.Context().Err() == nil {
		s.log.ErrorContext(c.Request.Context(), "request failed", "request_id", requestID(c),
			"method", c.Request.Method, "route", c.FullPath(), "status", problem.Status, "error", err)
	}
	writeProblem(c, problem)
}

// writeProblem sends a copy that carries this request's id.
func writeProblem(c *gin.Context, problem *payments.Problem) {
	named := *problem
	named.RequestID = requestID(c)
	switch named.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if c.Writer.Header().Get("Retry-After") == "" {
			c.Header("Retry-After", retryAfterSeconds)
		}
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", "Bearer")
	}
	body, err := json.Marshal(named)
	if err != nil {
		panic(err) // Strings and integers always marshal.
	}
	c.Data(named.Status, contentProblem, body)
	c.Abort()
}

// foretold reports whether err is an answer of its own; a problem that wraps a
// cause is logged with it.
func foretold(err error) bool {
	_, plain := err.(*payments.Problem) //nolint:errorlint // A wrapped one is to be logged.

	return plain || problemOf(err).Code == payments.CodeNotFound
}

// problemOf turns any error into a problem: a bug is 500; anything else that
// failed may pass, so it is 503.
func problemOf(err error) *payments.Problem {
	var problem *payments.Problem
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.Is(err, store.ErrNotFound), errors.Is(err, pgx.ErrNoRows):
		return errNotFound
	case isBug(err):
		return payments.NewProblem(payments.CodeInternal, "The error was recorded under this request id.")
	}

	return errUnavailable
}

// errBug marks what only a mistake of ours can cause.
var errBug = errors.New("api: bug")

// isBug tells our mistakes from what passes: SQL that is wrong or breaks a
// constraint (classes 22, 23, 42) will not heal by waiting.
func isBug(err error) bool {
	if errors.Is(err, errBug) {
		return true
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, class := range []string{"22", "23", "42"} {
		if strings.HasPrefix(pgErr.Code, class) {
			return true
		}
	}

	return false
}
