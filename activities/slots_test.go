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
		s.mu.Lock()
		t.Logf("%d dead endpoints take %d slots", dead, s.running)
		s.mu.Unlock()
		over.Store(true)
		group.Wait()
		require.Zero(t, refused)
	})
}

// workOff has deliveries, which come at a rate of a thousand a second, make
// attempts at one endpoint that take so long each. It returns when the last one
// ended and how often they looked for a slot.
func workOff(t *testing.T, deliveries int, attempt time.Duration) (last time.Duration, looks int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var s endpointSlots
		var looked atomic.Int64
		began := time.Now()
		var group sync.WaitGroup
		for i := range deliveries {
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				for {
					looked.Add(1)
					done, wait := s.take("we_1", defaultSlots)
					if done != nil {
						time.Sleep(attempt)
						done()

						return
					}
					if wait > busyHorizon {
						t.Error(wait)
					}
					time.Sleep(wait)
				}
			})
		}
		group.Wait()
		last, looks = time.Since(began), int(looked.Load())
	})

	return last, looks
}

// A thousand deliveries are worked off at almost full width, those of a dead
// endpoint like a burst for one that answers, and look only now and then.
func TestSlotsOfAThousand(t *testing.T) {
	t.Parallel()
	for name, attempt := range map[string]time.Duration{"dead": 15 * time.Second, "answers": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last, looks := workOff(t, 1000, attempt)
			t.Logf("it took %s and %d looks", last, looks)
			require.Less(t, last, 2*1000*attempt/defaultSlots)
			require.Less(t, looks, 5*1000)
		})
	}
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
