package api

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxQueueTime keeps an overloaded process answering within two seconds.
	maxQueueTime = time.Second
	// queuePerSlot bounds how many wait for each slot.
	queuePerSlot = 4
)

// inFlight bounds what waits for workflows. A refusal here comes before the
// claim: nothing was written.
type inFlight struct {
	slots   chan struct{}
	waiting atomic.Int64
	gauge   prometheus.Gauge
}

func newInFlight(limit int, gauge prometheus.Gauge) *inFlight {
	return &inFlight{slots: make(chan struct{}, max(limit, 1)), gauge: gauge}
}

// acquire returns the function that gives the slot back.
func (f *inFlight) acquire(ctx context.Context) (release func(), err error) {
	select {
	case f.slots <- struct{}{}:
		return f.taken(), nil
	default:
	}
	if f.waiting.Add(1) > int64(queuePerSlot*cap(f.slots)) {
		f.waiting.Add(-1)

		return nil, errUnavailable
	}
	defer f.waiting.Add(-1)
	timer := time.NewTimer(maxQueueTime)
	defer timer.Stop()
	select {
	case f.slots <- struct{}{}:
		return f.taken(), nil
	case <-timer.C:
		return nil, errUnavailable
	case <-ctx.Done():
		return nil, errUnavailable
	}
}

func (f *inFlight) taken() func() {
	f.gauge.Inc()

	return func() {
		<-f.slots
		f.gauge.Dec()
	}
}
