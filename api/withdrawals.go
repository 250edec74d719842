package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// createWithdrawal is POST /v1/withdrawals.
func (s *Server) createWithdrawal(c *call) error {
	key, err := c.requiredIdempotencyKey()
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	request, err := c.withdrawalRequest(body)
	if err != nil {
		if request, err = c.claimedWithdrawal(*key, body, err); err != nil {
			return err
		}
	}
	p := post{key: key, body: body, resourceID: payments.NewID(payments.PrefixWithdrawal), request: request}

	return s.drive(c, p, func(ctx context.Context, claimed claim) error {
		return c.env.Withdrawals.HoldWithdrawal(ctx, workflows.WithdrawalRef{
			ID: claimed.resourceID, WorkspaceID: c.key.workspaceID, AmountMsat: request.AmountMsat,
			PaymentHash: request.PaymentHash,
		}, claimed.startBy)
	})
}

// withdrawalRequest validates the form only. Whether the invoice still lives,
// is our own or was paid before, and whether the balance covers it, is judged
// with the funds locked, and that answer is frozen.
func (c *call) withdrawalRequest(body []byte) (payments.WithdrawalRequest, error) {
	f, err := parseFields(body)
	if err != nil {
		return payments.WithdrawalRequest{}, err
	}
	in := f.invoice()
	maxFee, limited := f.optionalAmount("max_fee", 0)
	request := payments.WithdrawalRequest{
		Description: f.description(),
		Metadata:    f.metadata("metadata"),
		ExternalID:  f.textChars("external_id", payments.MaxExternalIDChars),
	}
	if err := f.result(); err != nil {
		return payments.WithdrawalRequest{}, err
	}
	ctx, cancel := c.context()
	defer cancel()
	known, err := c.env.nodes.find(ctx)
	if err != nil {
		return payments.WithdrawalRequest{}, err
	}
	paid, err := in.read(known.network, c.env.Payouts.CLTVLimitBlocks)
	if err != nil {
		return payments.WithdrawalRequest{}, err
	}
	if !limited {
		maxFee = defaultMaxFee(c.env.Payouts, paid.amount)
	}
	request.Bolt11, request.AmountMsat, request.Amountless = paid.Bolt11, paid.amount, paid.AmountMsat == 0
	request.MaxFeeMsat, request.PaymentHash = maxFee, hex.EncodeToString(paid.PaymentHash[:])
	request.Destination, request.ExpiresAt = paid.Destination, paid.ExpiresAt

	return request, nil
}

// claimedWithdrawal returns the request that was accepted under the key with
// the same body, although it is refused now: the limits are configuration, and
// a client must never read a refusal of what may have been paid.
func (c *call) claimedWithdrawal(key string, body []byte, refused error) (payments.WithdrawalRequest, error) {
	var request payments.WithdrawalRequest
	if _, plain := refused.(*payments.Problem); !plain { //nolint:errorlint // A wrapped one is no judgement.
		return request, refused
	}
	ctx, cancel := c.context()
	defer cancel()
	row, err := c.env.Store.FindClaimedRequest(ctx, db.FindClaimedRequestParams{
		WorkspaceID: c.key.workspaceID, Path: c.Request.URL.Path, Key: key,
	})
	hash := sha256.Sum256(body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return request, refused
	case err != nil:
		return request, fmt.Errorf("find claim: %w", err)
	case !bytes.Equal(row.BodySha256, hash[:]):
		return request, refused
	}
	if err := json.Unmarshal(row.Request, &request); err != nil {
		return request, fmt.Errorf("%w: the request of a claim: %w", errBug, err)
	}

	return request, nil
}

// readWithdrawal reads the withdrawal that the path names, if this key may see
// it.
func (c *call) readWithdrawal() (db.Withdrawal, error) {
	id := c.Param("id")
	if !payments.ValidID(payments.PrefixWithdrawal, id) {
		return db.Withdrawal{}, errNotFound
	}
	ctx, cancel := c.context()
	defer cancel()

	return c.env.Store.ReadWithdrawal(ctx, db.ReadWithdrawalParams{ID: id, WorkspaceID: c.key.workspaceID})
}

// getWithdrawal is GET /v1/withdrawals/{id}, at once or after a wait for its
// end: in flight is no answer that a client could act on.
func (s *Server) getWithdrawal(c *call) error {
	wait, err := readWait(c)
	if err != nil {
		return err
	}
	row, err := await(s, c, wait, c.readWithdrawal, func(row db.Withdrawal) bool {
		return payments.WithdrawalStatus(row.Status).Closed()
	})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, c.env.Store.Withdrawal(row))

	return nil
}
