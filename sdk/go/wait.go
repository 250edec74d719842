package lntpay

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

const (
	// longPoll is half of what the API allows: many proxies cut a request that
	// is silent for a minute.
	longPoll = 30 * time.Second
	// pollEvery is the least time between two polls, should something answer
	// that does not wait.
	pollEvery = time.Second
)

// wait polls an object until closed says so, and returns it as it last was.
func wait[T any](ctx context.Context, c *Client, path, id string, closed func(*T) bool) (*T, error) {
	var last *T
	for {
		poll := longPoll
		if deadline, ok := ctx.Deadline(); ok {
			// Rounded up: the context ends the call, not a gap before it.
			poll = min(poll, max(0, time.Until(deadline))+time.Second).Truncate(time.Second)
		}
		next := time.Now().Add(min(poll, pollEvery))
		r := get(path, url.Values{"wait": {strconv.Itoa(int(poll / time.Second))}}).on(id, "")
		r.wait = poll
		var now item[T]
		if err := c.do(ctx, r, &now); err != nil {
			return last, err
		}
		last = &now.object
		tell(ctx, now.raw)
		if closed(last) {
			return last, nil
		}
		sleep(ctx, time.Until(next))
	}
}
