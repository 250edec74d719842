package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/payments"
)

const (
	// openingClients open what is to expire.
	openingClients = 16
	// openingPerSecond is how many they open, at least, on a slow machine.
	openingPerSecond = 25
	// refusedPause is before the next try of what was refused for load.
	refusedPause = 200 * time.Millisecond
	// leastExpiry is the shortest that the API takes.
	leastExpiry = time.Minute
	// drainWithin bounds the wait for the last expiry.
	drainWithin = 15 * time.Minute
	// meanwhileClients create while it drains.
	meanwhileClients = 2
)

// expiries has real charges expire at the same moment, and creates others
// meanwhile.
func (b *bench) expiries(ctx context.Context) error {
	s, err := b.newSide(ctx, "expiries")
	if s != nil {
		defer s.close(ctx)
	}
	if err != nil {
		return err
	}
	if err := s.startAll(ctx); err != nil {
		return err
	}
	before := s.creates(ctx, b.seconds)
	at := time.Now().Add(leastExpiry + time.Duration(b.sizes.burst/openingPerSecond)*time.Second).Truncate(time.Second)
	began := time.Now()
	opened, err := s.openMany(ctx, b.sizes.burst, func() time.Duration { return max(leastExpiry, time.Until(at)) })
	if err != nil {
		return err
	}
	fmt.Printf("%d charges opened in %.0f s, all of which expire within a second or two\n\n", opened, time.Since(began).Seconds())
	if err := waitUntil(ctx, at.Add(-5*time.Second)); err != nil {
		return err
	}
	draining, stop := context.WithCancel(ctx)
	defer stop()
	var meanwhile *result
	var creating sync.WaitGroup
	creating.Go(func() { meanwhile = s.createsUntil(draining, drainWithin) })
	drained, err := s.awaitExpired(ctx, at, opened)
	stop()
	creating.Wait()
	if err != nil {
		return err
	}
	fmt.Printf("drained %.1f s after the expiry, %.0f a second\n\n", drained.Seconds(), float64(opened)/drained.Seconds())
	fmt.Printf("| POST /v1/charges, %d clients | n | p50 ms | p99 ms | max ms | 503 | other |\n|---|--:|--:|--:|--:|--:|--:|\n", meanwhileClients)
	for name, r := range map[string]*result{"before": before, "meanwhile": meanwhile} {
		fmt.Printf("| %s | %d | %.1f | %.1f | %.0f | %d | %d |\n", name, len(r.latencies), r.percentile(50), r.percentile(99), r.percentile(100), r.refused, r.failed)
	}
	fmt.Println()

	return nil
}

func (s *side) creates(ctx context.Context, d time.Duration) *result {
	return load(ctx, meanwhileClients, d, func(ctx context.Context) outcome {
		_, got := s.post(ctx)

		return got
	})
}

// createsUntil leaves out the last of each client, which the end cuts off.
func (s *side) createsUntil(ctx context.Context, atMost time.Duration) *result {
	whole := context.WithoutCancel(ctx)

	return load(ctx, meanwhileClients, atMost, func(context.Context) outcome {
		_, got := s.post(whole)

		return got
	})
}

func waitUntil(ctx context.Context, at time.Time) error {
	select {
	case <-time.After(time.Until(at)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openMany opens so many real charges that live so long. What is refused for load
// is tried again.
func (s *side) openMany(ctx context.Context, count int, life func() time.Duration) (int, error) {
	var left, opened atomic.Int64
	left.Store(int64(count))
	clients, ctx := errgroup.WithContext(ctx)
	for range openingClients {
		clients.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := s.open(ctx, life); err != nil {
					return err
				}
				opened.Add(1)
			}

			return nil
		})
	}
	err := clients.Wait()

	return int(opened.Load()), err
}

// open opens one charge, under a key: a 503 may have opened it.
func (s *side) open(ctx context.Context, life func() time.Duration) error {
	key, body := payments.NewID("bench"), fmt.Sprintf(`{"amount_sats":10,"expires_in":%d}`, int(life().Seconds()))
	for {
		status, err := s.callAs(ctx, http.MethodPost, "/v1/charges", key, body, nil)
		switch {
		case err != nil:
			return err
		case status == http.StatusCreated:
			return nil
		case status != http.StatusServiceUnavailable:
			return fmt.Errorf("create a charge: status %d", status)
		}
		if err := waitUntil(ctx, time.Now().Add(refusedPause)); err != nil {
			return err
		}
	}
}

// awaitExpired returns how long after at the last of them was expired.
func (s *side) awaitExpired(ctx context.Context, at time.Time, count int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Until(at)+drainWithin)
	defer cancel()
	for {
		var expired int
		var last time.Time
		if err := s.store.Pool.QueryRow(ctx, `SELECT count(*), coalesce(max(closed_at), now()) FROM charge WHERE status = 'expired'`).Scan(&expired, &last); err != nil {
			return 0, fmt.Errorf("%d of %d have expired: %w", expired, count, err)
		}
		if expired >= count {
			return last.Sub(at), nil
		}
		if err := waitUntil(ctx, time.Now().Add(time.Second)); err != nil {
			return 0, fmt.Errorf("%d of %d have expired: %w", expired, count, err)
		}
	}
}
