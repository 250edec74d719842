package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// result is what a load came to.
type result struct {
	ok, refused, failed int
	elapsed             time.Duration
	latencies           []time.Duration
}

func (r *result) rate() float64 { return float64(r.ok) / r.elapsed.Seconds() }

// percentile is the p-th of a hundred of the latencies, in milliseconds.
func (r *result) percentile(p int) float64 {
	if len(r.latencies) == 0 {
		return 0
	}
	slices.Sort(r.latencies)

	return ms(r.latencies[min(len(r.latencies)*p/100, len(r.latencies)-1)])
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// outcome of one call: done, refused for load, or failed.
type outcome int

const (
	done outcome = iota
	refused
	failed
)

// load runs call from so many clients, one after the other each, for d.
func load(ctx context.Context, clients int, d time.Duration, call func(context.Context) outcome) *result {
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		total result
	)
	began := time.Now()
	for range clients {
		group.Go(func() {
			for time.Since(began) < d && ctx.Err() == nil {
				start := time.Now()
				got := call(ctx)
				took := time.Since(start)
				mu.Lock()
				total.latencies = append(total.latencies, took)
				switch got {
				case done:
					total.ok++
				case refused:
					total.refused++
				case failed:
					total.failed++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	total.elapsed = time.Since(began)

	return &total
}
