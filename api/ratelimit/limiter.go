package ratelimit

import (
	"context"
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/lntpay/lntpay/store/db"
)

const (
	// cached is how many buckets a process remembers; one that is forgotten
	// loses the tokens held of it.
	cached = 20_000
	// takeTimeout bounds the question to Postgres, and openFor is how long
	// nothing is asked, and nothing limited, after one that failed.
	takeTimeout = time.Second
	openFor     = time.Second
	// blockShare is the part of a second's tokens that is taken at once: at most
	// so many questions a second for each bucket and process.
	blockShare = 10
)

// Rate is how many tokens a bucket gains and how many it holds. PerSecond is
// positive; a Burst of 0 is as many as a second gives.
type Rate struct{ PerSecond, Burst int }

// Size is how many tokens the bucket holds.
func (r Rate) Size() int {
	if r.Burst == 0 {
		return r.PerSecond
	}

	return r.Burst
}

// Block is how many tokens a process takes at a time.
func (r Rate) Block() int { return max(1, min(r.PerSecond, r.Size())/blockShare) }

// Window is in how many seconds an empty bucket is full again.
func (r Rate) Window() int { return (r.Size() + r.PerSecond - 1) / r.PerSecond }

// Taker takes tokens out of shared buckets; *db.Queries is the one that does.
type Taker interface {
	TakeTokens(ctx context.Context, arg db.TakeTokensParams) (db.TakeTokensRow, error)
}

// Limiter is one process's part of the buckets.
type Limiter struct {
	taker   Taker
	mu      sync.Mutex
	buckets *lru.Cache[string, *bucket]
}

// New makes a limiter that holds no tokens yet.
func New(taker Taker) *Limiter {
	buckets, err := lru.New[string, *bucket](cached)
	if err != nil {
		panic(err) // Only for a size that is not positive.
	}

	return &Limiter{taker: taker, buckets: buckets}
}

// Decision is what became of a request for a token.
type Decision struct {
	Allowed bool
	// Remaining is about how many more would be let through now.
	Remaining int
	// RetryAfter is when the next token is to be had, if there was none.
	RetryAfter time.Duration
	// Err says that Postgres could not be asked: then everything is allowed,
	// since what needs Postgres fails anyway and what does not is cheap.
	Err error
}

// bucket is what a process holds of a shared one.
type bucket struct {
	mu   sync.Mutex
	held int
	// shared is what was left for all at the time asked.
	shared float64
	asked  time.Time
	// emptyUntil and openUntil spare the question.
	emptyUntil, openUntil time.Time
}

// Take takes one token out of the bucket of this name.
func (l *Limiter) Take(ctx context.Context, name string, rate Rate) Decision {
	b := l.bucket(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case b.held > 0:
		b.held--
	case now.Before(b.emptyUntil):
		return Decision{RetryAfter: b.emptyUntil.Sub(now)}
	case now.Before(b.openUntil):
		return Decision{Allowed: true}
	default:
		if err := b.refill(ctx, l.taker, name, rate); err != nil {
			b.openUntil = time.Now().Add(openFor)

			return Decision{Allowed: true, Err: err}
		}
		if b.held == 0 {
			// With a block rather than a token, or an empty bucket would be
			// asked for each.
			b.emptyUntil = b.asked.Add(seconds((float64(rate.Block()) - b.shared) / float64(rate.PerSecond)))

			return Decision{RetryAfter: b.emptyUntil.Sub(b.asked)}
		}
		b.held--
	}

	return Decision{Allowed: true, Remaining: b.remaining(rate)}
}

// Return gives back a token that was taken and not used.
func (l *Limiter) Return(name string) {
	b := l.bucket(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held++
}

// refill takes a block; the client's leaving does not end it, since others wait
// for it too.
func (b *bucket) refill(ctx context.Context, taker Taker, name string, rate Rate) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeTimeout)
	defer cancel()
	row, err := taker.TakeTokens(ctx, db.TakeTokensParams{
		ID: name, PerSecond: float64(rate.PerSecond), Burst: float64(rate.Size()), Want: float64(rate.Block()),
	})
	if err != nil {
		return err
	}
	b.held, b.shared, b.asked = int(row.Granted), row.Tokens, time.Now()

	return nil
}

func (b *bucket) remaining(rate Rate) int {
	gained := time.Since(b.asked).Seconds() * float64(rate.PerSecond)

	return b.held + int(math.Min(float64(rate.Size()), b.shared+gained))
}

func (l *Limiter) bucket(name string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.buckets.Get(name)
	if !ok {
		found = &bucket{}
		l.buckets.Add(name, found)
	}

	return found
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
