package lntpay

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestWait(t *testing.T) {
	t.Parallel()
	c, server := play(t, answer(http.StatusOK, `{"id":"wd_1","status":"pending"}`), cut,
		answer(http.StatusOK, `{"id":"wd_1","status":"failed","failure":{"code":"no_route","message":"none"}}`))
	over, err := c.Withdrawals.Wait(t.Context(), "wd_1")
	noError(t, err)
	equal(t, FailureNoRoute, over.Failure.Code)
	equal(t, "/v1/withdrawals/wd_1?wait=30", server.requests()[0].path)
	equal(t, 3, len(server.requests()))
}

func TestWaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var polls []string
		c := inBubble(t, func(r *http.Request) (*http.Response, error) {
			polls = append(polls, r.FormValue("wait"))
			asked, _ := time.ParseDuration(r.FormValue("wait") + "s")
			select {
			case <-time.After(asked):
				return canned(http.StatusOK, charge("ch_1", ""), http.Header{}), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 75*time.Second)
		defer cancel()
		began := time.Now()
		last, err := c.Charges.Wait(ctx, "ch_1")
		errorIs(t, err, context.DeadlineExceeded)
		equal(t, ChargePending, last.Status)
		equal(t, 75*time.Second, time.Since(began))
		equal(t, []string{"30", "30", "16"}, polls)
	})
}

// Something that does not wait is not asked without end.
func TestWaitOnWhatDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		polls := 0
		c := inBubble(t, func(*http.Request) (*http.Response, error) {
			polls++
			if polls == 10 {
				return canned(http.StatusOK, charge("ch_1", ChargePaid), http.Header{}), nil
			}

			return canned(http.StatusOK, charge("ch_1", ChargePending), http.Header{}), nil
		})
		began := time.Now()
		paid, err := c.Charges.Wait(t.Context(), "ch_1")
		noError(t, err)
		equal(t, ChargePaid, paid.Status)
		equal(t, 9*time.Second, time.Since(began))
	})
}
