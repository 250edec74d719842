package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
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
	object := balanceObject{Object: "balance", Environment: c.env.name}
	// One snapshot: a charge that settles meanwhile is pending or available,
	// never both and never neither.
	err := c.env.Store.Snapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		pending, err := q.ReadPendingMsat(ctx, c.key.workspaceID)
		if err != nil {
			return err
		}
		object.PendingMsat = payments.Msat(pending)
		object.AvailableMsat, object.LockedMsat, object.AsOf, err = ledger.Balance(ctx, tx, c.key.workspaceID)

		return err
	})
	if err != nil {
		return err
	}
	object.AsOf = object.AsOf.UTC()
	c.JSON(http.StatusOK, object)

	return nil
}

// transferObject is the public shape of a transfer, accounts by name.
type transferObject struct {
	ID                 string               `json:"id"`
	Object             string               `json:"object"`
	Environment        payments.Environment `json:"environment"`
	Kind               ledger.Kind          `json:"kind"`
	Ref                string               `json:"ref"`
	DebitAccount       string               `json:"debit_account"`
	CreditAccount      string               `json:"credit_account"`
	AmountMsat         payments.Msat        `json:"amount_msat"`
	AvailableAfterMsat payments.Msat        `json:"available_after_msat"`
	LockedAfterMsat    payments.Msat        `json:"locked_after_msat"`
	Sequence           int64                `json:"sequence"`
	CreatedAt          time.Time            `json:"created_at"`
}

func (c *call) transferOf(t ledger.Transfer) transferObject {
	return transferObject{
		ID: t.ID, Object: "transfer", Environment: c.env.name, Kind: t.Kind, Ref: t.Ref,
		DebitAccount: t.Debit.String(), CreditAccount: t.Credit.String(), AmountMsat: t.AmountMsat,
		AvailableAfterMsat: t.AvailableAfterMsat, LockedAfterMsat: t.LockedAfterMsat,
		Sequence: t.Sequence, CreatedAt: t.CreatedAt.UTC(),
	}
}

// listTransfers is GET /v1/ledger/transfers, by sequence, newest first.
func (s *Server) listTransfers(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	limit := q.number("limit", 1, maxLimit, defaultLimit)
	filter := ledger.TransferFilter{WorkspaceID: c.key.workspaceID, Limit: limit + 1, BeforeSequence: q.sequence()}
	filter.Ref, _ = q.text("ref")
	kind, _ := q.text("kind")
	filter.Kind = ledger.Kind(kind)
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := ledger.Transfers(ctx, c.env.Store.Planned(), filter)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, limit,
		func(row ledger.Transfer) string { return strconv.FormatInt(row.Sequence, 10) }, c.transferOf))

	return nil
}

// sequence reads a cursor over transfers; zero is the beginning.
func (q *query) sequence() int64 {
	seen := q.cursor(func(text string) bool {
		value, err := strconv.ParseInt(text, 10, 64)

		return err == nil && value > 0 && strconv.FormatInt(value, 10) == text
	})
	value, _ := strconv.ParseInt(seen, 10, 64)

	return value
}
