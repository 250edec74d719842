package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// withdrawalFilter is what a list of withdrawals may be narrowed by.
type withdrawalFilter struct {
	// statuses are those of the rows; none is all.
	statuses      []string
	externalID    string
	hasExternalID bool
	createdAfter  time.Time
	createdBefore time.Time
}

// listWithdrawals is GET /v1/withdrawals.
func (s *Server) listWithdrawals(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	page, filter := q.page(payments.PrefixWithdrawal), q.withdrawalFilter()
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.readWithdrawals(ctx, page.madeBefore(payments.PrefixWithdrawal, filter.createdBefore), filter)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, page.limit,
		func(row db.Withdrawal) string { return row.ID }, c.env.Store.Withdrawal))

	return nil
}

func (q *query) withdrawalFilter() withdrawalFilter {
	filter := withdrawalFilter{
		statuses:      []string{},
		createdAfter:  q.time("created_after", longAgo),
		createdBefore: q.time("created_before", farAway),
	}
	if public := q.oneOf("status", "", payments.PublicWithdrawalStatuses()...); public != "" {
		filter.statuses = payments.StoredWithdrawalStatuses(public)
	}
	filter.externalID, filter.hasExternalID = q.text("external_id")

	return filter
}

// open reports whether only what is not over is asked for.
func (f withdrawalFilter) open() bool {
	return !slices.ContainsFunc(f.statuses, func(status string) bool {
		return payments.WithdrawalStatus(status).Closed()
	})
}

// readWithdrawals takes the query whose index fits the filter.
func (c *call) readWithdrawals(ctx context.Context, p page, f withdrawalFilter) ([]db.Withdrawal, error) {
	workspace := c.key.workspaceID
	switch {
	case f.hasExternalID:
		return c.env.Store.Lists().ReadWithdrawalPageByExternalID(ctx, db.ReadWithdrawalPageByExternalIDParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses,
			ExternalID: f.externalID, CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
		})
	case len(f.statuses) == 0:
		return c.env.Store.Lists().ReadWithdrawalPage(ctx, db.ReadWithdrawalPageParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(),
			CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
		})
	case f.open():
		return c.env.Store.Lists().ReadWithdrawalPageOpen(ctx, db.ReadWithdrawalPageOpenParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses,
			CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
		})
	}

	return c.env.Store.Lists().ReadWithdrawalPageByStatus(ctx, db.ReadWithdrawalPageByStatusParams{
		WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Statuses: f.statuses,
		CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
	})
}
