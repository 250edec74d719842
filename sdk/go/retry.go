package lntpay

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// backoff is how long to wait before the repeats of a call.
type backoff struct {
	first, most time.Duration
}

// wait is the time before repeat n, which counts from 0: it doubles from first
// to most, and is up to half shorter, so that many clients do not come back
// together.
func (b backoff) wait(n int) time.Duration {
	wait := b.most
	if n < 30 && b.first<<n < b.most {
		wait = b.first << n
	}

	return wait - rand.N(wait/2+1)
}

// pause is the time before repeat n after err: the server's word is the least.
func (b backoff) pause(n int, err error) time.Duration {
	wait := b.wait(n)
	if problem, ok := errors.AsType[*Error](err); ok && problem.RetryAfter > 0 {
		return problem.RetryAfter + wait/4
	}

	return wait
}

// retryable is what may be repeated: 429, 503, and a try that got no answer.
func retryable(err error) bool {
	if problem, ok := errors.AsType[*Error](err); ok {
		return problem.Status == http.StatusTooManyRequests || problem.Status == http.StatusServiceUnavailable
	}
	_, lost := errors.AsType[*lostError](err)

	return lost
}

// undecided tells whether a request that ended so may have had an effect. A
// refusal and 429 say that it had none; a fault of the server or of a proxy
// says nothing, and neither does silence.
func undecided(err error) bool {
	if problem, ok := errors.AsType[*Error](err); ok {
		return problem.Status >= http.StatusInternalServerError
	}

	return true
}

// lostError is a try that got no answer, or not all of it.
type lostError struct{ err error }

func (e *lostError) Error() string { return "lntpay: no answer: " + e.err.Error() }

func (e *lostError) Unwrap() error { return e.err }

// retryAfter reads the header, in seconds or as a date.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(date))
	}

	return 0
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
