package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/telemetry"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotent-Replayed"
	maxIdempotencyKey    = 255
)

var errKeyReused = payments.NewProblem(payments.CodeIdempotencyKeyReused,
	"This Idempotency-Key was used with another body. Use a new key for a new request.")

// post is a validated POST, ready to be claimed.
type post struct {
	key        *string
	body       []byte
	resourceID string
	// status is that of an effect at once; 201 when 0.
	status int
	// request is what the claim stores and the opening transaction reads.
	request any
}

// answer is what a claim was decided to.
type answer struct {
	status int
	body   []byte
}

// claim is what the store knows of a POST. replayed: this is a repeat.
type claim struct {
	resourceID string
	startBy    time.Time
	replayed   bool
	answer     *answer
}

// idempotencyKey returns nil when there is none.
func (c *call) idempotencyKey() (*string, error) {
	values := c.Request.Header.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // Absent is a value here.
	}
	key := values[0]
	valid := len(values) == 1 && key != "" && len(key) <= maxIdempotencyKey
	for i := range len(key) {
		valid = valid && key[i] >= ' ' && key[i] <= '~'
	}
	if !valid {
		return nil, invalid("Idempotency-Key must be 1 to 255 printable ASCII characters.",
			payments.FieldError{Field: headerIdempotencyKey, Message: "must be 1 to 255 printable ASCII characters"})
	}

	return &key, nil
}

// readPost reads the key of a POST, nil when there is none, and its body by one
// of the readers of body.go.
func (c *call) readPost(read func(*call) ([]byte, error)) (key *string, body []byte, err error) {
	if key, err = c.idempotencyKey(); err != nil {
		return nil, nil, err
	}
	body, err = read(c)

	return key, body, err
}

// requiredIdempotencyKey is for a POST that must not be sent twice by mistake.
func (c *call) requiredIdempotencyKey() (*string, error) {
	key, err := c.idempotencyKey()
	if err == nil && key == nil {
		err = invalid("This request needs an Idempotency-Key.",
			payments.FieldError{Field: headerIdempotencyKey, Message: "is required"})
	}

	return key, err
}

// claimPost inserts the claim of p or finds the one that has its key. q may be
// in a transaction: then a concurrent first is waited for. unhurried is for a
// claim that is decided by a later transaction.
func (c *call) claimPost(ctx context.Context, q *db.Queries, p post, unhurried bool) (claim, error) {
	request, err := json.Marshal(p.request)
	if err != nil {
		return claim{}, fmt.Errorf("%w: marshal request: %w", errBug, err)
	}
	hash := sha256.Sum256(p.body)
	path := c.Request.URL.Path
	inserted, err := q.InsertClaim(ctx, db.InsertClaimParams{
		ResourceID: p.resourceID, WorkspaceID: c.key.workspaceID, Path: path, Key: p.key,
		BodySha256: hash[:], Request: request, RequestID: requestID(c.Context), Unhurried: unhurried,
	})
	if err == nil {
		telemetry.Set(ctx, telemetry.Resource(p.resourceID))

		return claim{resourceID: p.resourceID, startBy: inserted.StartBy}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return claim{}, fmt.Errorf("insert claim: %w", err)
	}
	row, err := q.FindClaim(ctx, db.FindClaimParams{WorkspaceID: c.key.workspaceID, Path: path, Key: *p.key})
	if err != nil {
		return claim{}, fmt.Errorf("find claim: %w: %w", errUnavailable, err)
	}
	if !bytes.Equal(row.BodySha256, hash[:]) {
		return claim{}, errKeyReused
	}
	telemetry.Set(ctx, telemetry.Resource(row.ResourceID))
	found := claim{resourceID: row.ResourceID, startBy: row.StartBy, replayed: true}
	if row.AnswerStatus != nil {
		found.answer = &answer{status: int(*row.AnswerStatus), body: row.Answer}
	}

	return found, nil
}

// drive claims p and has it decided by a workflow, then sends what was frozen.
// decide returns nil once the claim has its answer.
func (s *Server) drive(c *call, p post, decide func(ctx context.Context, claimed claim) error) error {
	claimed, err := s.decided(c, p, decide)
	if err != nil {
		return err
	}
	c.sendFrozen(*claimed.answer, claimed.replayed)

	return nil
}

// decided is drive without the sending: the claim comes with its answer.
func (s *Server) decided(c *call, p post, decide func(ctx context.Context, claimed claim) error) (claim, error) {
	release, err := s.inFlight.acquire(c.Request.Context())
	if err != nil {
		return claim{}, err
	}
	ctx, cancel := c.context()
	defer cancel()
	claimed, err := c.claimPost(ctx, c.env.Store.Queries, p, true)
	if err != nil || claimed.answer != nil {
		release()

		return claimed, err
	}
	claimed.answer, err = c.env.decideOnce(c.Request.Context(), claimed, decide, release)

	return claimed, err
}

// decideOnce lets concurrent repeats share one attempt. The attempt does not
// end with the client that began it, nor with the answer: release gives its slot
// back when Temporal is done with it.
func (e *environment) decideOnce(
	client context.Context, claimed claim, decide func(context.Context, claim) error, release func(),
) (*answer, error) {
	leads := false
	shared, err, _ := e.flights.Do(claimed.resourceID, func() (any, error) {
		leads = true
		detached := context.WithoutCancel(client)

		return e.attempt(detached, claimed, decide, release).answer(detached)
	})
	if !leads {
		release()
	}
	if err != nil {
		return nil, err
	}

	return shared.(*answer), nil //nolint:forcetypeassert // Made a few lines above.
}

// sendFrozen sends the exact bytes of a claim's answer.
func (c *call) sendFrozen(decided answer, replayed bool) {
	if replayed {
		c.Header(headerReplayed, "true")
	}
	content := contentJSON
	if decided.status >= http.StatusBadRequest {
		content = contentProblem
	}
	c.Data(decided.status, content, decided.body)
}

// atOnce claims p and runs effect in the same transaction, for what needs no
// workflow. effect returns the object to remember and the one to send, which
// may show a secret that is remembered nowhere.
func (s *Server) atOnce(
	c *call, p post, effect func(ctx context.Context, q *db.Queries) (remember, send any, err error),
) error {
	ctx, cancel := c.context()
	defer cancel()
	var decided answer
	var replayed bool
	err := c.env.Store.InTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		claimed, err := c.claimPost(ctx, q, p, false)
		if err != nil {
			return err
		}
		if claimed.answer != nil {
			decided, replayed = *claimed.answer, true

			return nil
		}
		if claimed.replayed {
			return fmt.Errorf("%w: a claim without its effect", errBug)
		}
		decided, err = p.settle(ctx, q, effect)

		return err
	})
	if err != nil {
		return err
	}
	c.sendFrozen(decided, replayed)

	return nil
}

func (p post) settle(
	ctx context.Context, q *db.Queries, effect func(ctx context.Context, q *db.Queries) (remember, send any, err error),
) (answer, error) {
	remember, send, err := effect(ctx, q)
	if err != nil {
		return answer{}, err
	}
	remembered, err := json.Marshal(remember)
	if err != nil {
		return answer{}, fmt.Errorf("%w: marshal answer: %w", errBug, err)
	}
	sent, err := json.Marshal(send)
	if err != nil {
		return answer{}, fmt.Errorf("%w: marshal answer: %w", errBug, err)
	}
	status := cmp.Or(p.status, http.StatusCreated)
	if err := store.Freeze(ctx, q, p.resourceID, int32(status), remembered); err != nil {
		return answer{}, err
	}

	return answer{status: status, body: sent}, nil
}
