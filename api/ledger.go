package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// balanceObject is the public shape of a balance.
type balanceObject struct {
	Object        string               `json:"object"`
	Environment   payments.Environment `json:"environment"`
	AvailableMsat payments.Msat        `json:"available_msat"`
	LockedMsat    payments.Msat        `json:"locked_msat"`
	PendingMsat   payments.Msat        `json:"pending_msat"`
	AsOf          time.Time            `json:"as_of"`
}

// getBalance is GET /v1/balance.
func (s *Server) getBalance(c *call) error {
	ctx, cancel := c.context()
	defer cancel()
	// Pending first: a charge settled in between shows in both, not in none.
	pending, err := c.env.Store.ReadPendingMsat(ctx, c.key.workspaceID)
	if err != nil {
		return err
	}
	available, locked, asOf, err := c.env.Ledger.Balance(ctx, c.key.workspaceID)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, balanceObject{
		Object: "balance", Environment: c.env.name, AvailableMsat: available, LockedMsat: locked,
		PendingMsat: payments.Msat(pending), AsOf: asOf.UTC(),
	})

	return nil
}

// transferObject is the public shape of a transfer.
type transferObject struct {
	Object      string               `json:"object"`
	Environment payments.Environment `json:"environment"`
	Transfer
}

// listTransfers is GET /v1/ledger/transfers, by sequence, newest first.
func (s *Server) listTransfers(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	limit := q.number("limit", 1, maxLimit, defaultLimit)
	filter := TransferFilter{WorkspaceID: c.key.workspaceID, Limit: limit + 1, BeforeSequence: q.sequence()}
	filter.Ref, _ = q.text("ref")
	filter.Kind, _ = q.text("kind")
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.env.Ledger.Transfers(ctx, filter)
	if err != nil {
		return err
	}
	answer, err := listOf(rows, limit, func(row Transfer) string { return strconv.FormatInt(row.Sequence, 10) },
		func(row Transfer) (transferObject, error) {
			row.CreatedAt = row.CreatedAt.UTC()

			return transferObject{Object: "transfer", Environment: c.env.name, Transfer: row}, nil
		})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, answer)

	return nil
}

// sequence reads a cursor over transfers; zero is the beginning.
func (q *query) sequence() int64 {
	seen := q.cursor(func(text string) bool {
		value, err := strconv.ParseInt(text, 10, 64)

		return err == nil && value > 0
	})
	value, _ := strconv.ParseInt(seen, 10, 64)

	return value
}
