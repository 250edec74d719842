package activities

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// takeAll takes all the slots that an endpoint gets.
func takeAll(s *endpointSlots, endpoint string) (taken []func()) {
	for {
		done, _ := s.take(endpoint, defaultSlots)
		if done == nil {
			return taken
		}
		taken = append(taken, done)
	}
}

func TestSlotsOfOneEndpoint(t *testing.T) {
	t.Parallel()
	var s endpointSlots
	taken := takeAll(&s, "we_1")
	require.Len(t, taken, defaultSlots)
	require.Len(t, takeAll(&s, "we_2"), defaultSlots, "another has its own")
	taken[0]()
	require.Len(t, takeAll(&s, "we_1"), 1)
}

// A hundred dead endpoints that come at once, each with as much as it gets,
// leave a slot for one more.
func TestSlotsLeaveSome(t *testing.T) {
	t.Parallel()
	for _, dead := range []int{1, 10, 50, 100} {
		var s endpointSlots
		for i := range dead {
			require.NotEmpty(t, takeAll(&s, fmt.Sprintf("we_%d", i)), "%d of %d", i, dead)
		}
		t.Logf("%d dead endpoints take %d slots", dead, s.running)
		require.NotEmpty(t, takeAll(&s, "we_live"), "%d dead endpoints", dead)
	}
}

// In the long run any number of them does.
func TestSlotsOfManyDeadEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const dead, each = 2000, 5
		var s endpointSlots
		var over atomic.Bool
		var group sync.WaitGroup
		for i := range dead * each {
			group.Go(func() {
				for !over.Load() {
					done, wait := s.take(fmt.Sprintf("we_%d", i%dead), defaultSlots)
					if done == nil {
						time.Sleep(wait)

						continue
					}
					time.Sleep(15 * time.Second)
					done()
				}
			})
		}
		time.Sleep(time.Minute)
		refused := 0
		for range 1000 {
			time.Sleep(100 * time.Millisecond)
			done, _ := s.take("we_live", defaultSlots)
			if done == nil {
				refused++
			} else {
				done()
			}
		}
		t.Logf("%d dead endpoints take %d slots", dead, s.running)
		over.Store(true)
		group.Wait()
		require.Zero(t, refused)
	})
}

// A backlog of a dead endpoint is worked off at full width, and its deliveries
// look only now and then.
func TestSlotsOfABacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const backlog, attempt = 1000, 15 * time.Second
		var s endpointSlots
		began := time.Now()
		var looks, longest atomic.Int64
		ended := make(chan time.Duration, backlog)
		for i := range backlog {
			go func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				for {
					looks.Add(1)
					done, wait := s.take("we_1", defaultSlots)
					if done != nil {
						time.Sleep(attempt)
						done()
						ended <- time.Since(began)

						return
					}
					if int64(wait) > longest.Load() {
						longest.Store(int64(wait))
					}
					time.Sleep(wait)
				}
			}()
		}
		var last time.Duration
		for range backlog {
			last = <-ended
		}
		t.Logf("%d attempts of %s took %s and %d looks; the longest wait was %s", backlog, attempt, last, looks.Load(), time.Duration(longest.Load()))
		require.Less(t, last, 2*backlog/defaultSlots*attempt)
		require.Less(t, looks.Load(), int64(5*backlog))
		require.LessOrEqual(t, time.Duration(longest.Load()), busyHorizon)
	})
}

// A fast endpoint's burst is worked off within its own time.
func TestSlotsOfABurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s endpointSlots
		taken := takeAll(&s, "we_1")
		time.Sleep(50 * time.Millisecond)
		taken[0]()
		takeAll(&s, "we_1")
		for i := range 100 {
			done, wait := s.take("we_1", defaultSlots)
			require.Nil(t, done)
			require.LessOrEqual(t, wait, time.Duration(i+20)*50*time.Millisecond)
		}
	})
}

// What is known of an endpoint is forgotten when nothing waits for it.
func TestSlotsForget(t *testing.T) {
	t.Parallel()
	var s endpointSlots
	kept := takeAll(&s, "we_kept")
	for i := range 10_000 {
		done, _ := s.take(fmt.Sprintf("we_%d", i), defaultSlots)
		done()
		require.Less(t, len(s.queues), 300)
	}
	require.Len(t, kept, defaultSlots)
	require.Empty(t, takeAll(&s, "we_kept"))
}
