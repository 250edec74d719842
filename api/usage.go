package api

import (
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lntpay/lntpay/store/db"
)

const (
	day = 24 * time.Hour
	// maxBuckets bounds one answer: 41 days of hours.
	maxBuckets = 1000
)

// bucket is what became of the charges that were created in a span of time.
type bucket struct {
	Start          time.Time `json:"start"`
	Created        int64     `json:"created"`
	Paid           int64     `json:"paid"`
	Expired        int64     `json:"expired"`
	Canceled       int64     `json:"canceled"`
	AmountMsat     int64     `json:"amount_msat"`
	AmountPaidMsat int64     `json:"amount_paid_msat"`
}

// chargeUsage is GET /v1/charges/usage: oldest first, empty buckets included.
func (s *Server) chargeUsage(c *call) error {
	q, err := readQuery(c)
	if err != nil {
		return err
	}
	from, to, width := q.span(time.Now().UTC())
	if err := q.result(); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	rows, err := c.env.Store.ReadChargeUsage(ctx, db.ReadChargeUsageParams{
		WorkspaceID: c.key.workspaceID, FromTime: from, ToTime: to,
		Bucket: pgtype.Interval{Microseconds: width.Microseconds(), Valid: true},
	})
	if err != nil {
		return err
	}
	buckets := make([]bucket, 0, len(rows))
	for _, row := range rows {
		row.Start = row.Start.UTC()
		buckets = append(buckets, bucket(row))
	}
	c.JSON(http.StatusOK, list[bucket]{Object: "list", Data: buckets})

	return nil
}

// span is the asked time, widened to whole buckets in UTC. The present, partly
// filled bucket is the last of the default 24 hours or 30 days.
func (q *query) span(now time.Time) (from, to time.Time, width time.Duration) {
	count := 24
	width = time.Hour
	if q.oneOf("interval", "hour", "hour", "day") == "day" {
		count, width = 30, day
	}
	to = q.time("to", now)
	if floor := to.Truncate(width); floor.Before(to) {
		to = floor.Add(width)
	}
	from = q.time("from", to.Add(-time.Duration(count)*width)).Truncate(width)
	switch {
	case !from.Before(to):
		q.fail("from", "must be before to")
	case to.Sub(from) > maxBuckets*width:
		q.fail("from", "from and to must be at most 1000 intervals apart")
	}

	return from, to, width
}
