package api

import (
	"context"
	"net/http"
	"time"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Bounds that choose everything.
var (
	longAgo = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	farAway = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

// chargeFilter is what a list of charges may be narrowed by.
type chargeFilter struct {
	status        string
	externalID    string
	hasExternalID bool
	createdAfter  time.Time
	createdBefore time.Time
}

// listCharges is GET /v1/charges.
func (s *Server) listCharges(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	page, filter := q.page(payments.PrefixCharge), q.chargeFilter()
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.readCharges(ctx, page.madeBefore(payments.PrefixCharge, filter.createdBefore), filter)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, listOf(rows, page.limit, func(row db.Charge) string { return row.ID }, c.env.Store.Charge))

	return nil
}

func (q *query) chargeFilter() chargeFilter {
	var statuses []string
	for _, status := range payments.PublicChargeStatuses() {
		statuses = append(statuses, string(status))
	}
	filter := chargeFilter{
		status:        q.oneOf("status", "", statuses...),
		createdAfter:  q.time("created_after", longAgo),
		createdBefore: q.time("created_before", farAway),
	}
	filter.externalID, filter.hasExternalID = q.text("external_id")

	return filter
}

// readCharges takes the query whose index fits the filter.
func (c *call) readCharges(ctx context.Context, p page, f chargeFilter) ([]db.Charge, error) {
	workspace := c.key.workspaceID
	switch {
	case f.hasExternalID:
		return c.env.Store.Lists().ReadChargePageByExternalID(ctx, db.ReadChargePageByExternalIDParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Status: f.status,
			ExternalID: f.externalID, CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
		})
	case f.status != "":
		return c.env.Store.Lists().ReadChargePageByStatus(ctx, db.ReadChargePageByStatusParams{
			WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(), Status: f.status,
			CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
		})
	}

	return c.env.Store.Lists().ReadChargePage(ctx, db.ReadChargePageParams{
		WorkspaceID: workspace, BeforeID: p.before, MaxRows: p.rows(),
		CreatedAfter: f.createdAfter, CreatedBefore: f.createdBefore,
	})
}
