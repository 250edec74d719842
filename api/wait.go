package api

import (
	"context"
	"time"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// maxWait is the longest long-poll.
const maxWait = 60 * time.Second

// awaitCharge reads the charge until it has left pending or the wait is over.
// The subscription comes before the first read, so no wake is lost between;
// a wake says only that reading again is worth it.
func (s *Server) awaitCharge(c *call, wait time.Duration) (db.Charge, error) {
	if wait == 0 {
		return c.readCharge()
	}
	wake, unsubscribe, ok := c.env.watcher.subscribe(c.Param("id"))
	if !ok {
		return db.Charge{}, errUnavailable
	}
	defer unsubscribe()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for over := false; ; {
		row, err := c.readCharge()
		if err != nil || over || row.Status != string(payments.ChargePending) {
			return row, err
		}
		select {
		case <-wake:
		case <-timer.C:
			over = true
		case <-s.stopping:
			over = true
		case <-c.Request.Context().Done():
			return db.Charge{}, context.Cause(c.Request.Context())
		}
	}
}
