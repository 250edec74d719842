package webhooks

import "time"

const (
	// maxRetryAfter is how far a receiver may push the next attempt away.
	maxRetryAfter = 24 * time.Hour
	// jitterShare spreads the retries of a receiver that was away.
	jitterShare = 0.2
)

// schedule holds the delay before each attempt.
func schedule() []time.Duration {
	return []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// MaxAttempts is how many attempts the schedule holds.
func MaxAttempts() int { return len(schedule()) }

// NextDelay is how long to wait when attempts have been made, the last of which
// asked for retryAfter (0: it did not). ok is false when the schedule has
// ended. jitter returns a number in [0, 1), such as math/rand/v2's Float64; the
// delay lies within 20 % of the schedule's, but never before what the receiver
// asked for.
func NextDelay(attempts int, jitter func() float64, retryAfter time.Duration) (delay time.Duration, ok bool) {
	delays := schedule()
	if attempts < 0 || attempts >= len(delays) {
		return 0, false
	}
	spread := 1 + jitterShare*(2*jitter()-1)
	delay = time.Duration(float64(delays[attempts]) * spread)

	return max(delay, min(retryAfter, maxRetryAfter)), true
}
