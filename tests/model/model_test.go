package model_test

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/model"
)

var (
	first = flag.Uint64("seed", 1, "first seed of TestSeeds")
	seeds = flag.Uint64("seeds", 500, "how many seeds TestSeeds runs; with -short an eighth")
	all   = flag.Bool("all", false, "go on after a seed that fails")
	log   = flag.Bool("trace", false, "log all that happens")
)

func simulator(t *testing.T) *model.Simulator {
	t.Helper()
	s, err := model.New(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { s.Close(t.Context()) })
	if *log {
		s.Log = func(line string) { t.Log(line) }
	}

	return s
}

// TestSeeds runs seeds; the first that ends in a violation fails it, and is
// replayed by the command that it prints.
func TestSeeds(t *testing.T) {
	s := simulator(t)
	var counts model.Counts
	began := time.Now()
	last := *first + *seeds
	if testing.Short() {
		last = *first + (*seeds+7)/8
	}
	for seed := *first; seed < last; seed++ {
		result, err := s.Run(t.Context(), seed)
		require.NoError(t, err)
		counts.Add(result.Counts)
		if *all {
			if len(result.Violations) > 0 {
				t.Errorf("seed %d: %q", seed, result.Violations)
			}

			continue
		}
		require.Empty(t, result.Violations, "replay: %s", model.Replay(seed))
	}
	t.Logf("%s in %s", counts.String(), time.Since(began).Round(time.Second))
}

// nodeCallBesideALock did not replay one time in two: a slow call of the node was
// taken for a wait for the lock that another waited for, on the connection that
// the caller had used before. Of other seeds one in a hundred did not: two waited
// for the same row.
const nodeCallBesideALock = 273473256256181

// TestReplay runs seeds twice: all that happens is the same.
func TestReplay(t *testing.T) {
	s := simulator(t)
	seeds := []uint64{nodeCallBesideALock, nodeCallBesideALock, nodeCallBesideALock}
	for seed := range uint64(25) {
		seeds = append(seeds, 1+seed)
	}
	for _, seed := range seeds {
		once, err := s.Run(t.Context(), seed)
		require.NoError(t, err)
		again, err := s.Run(t.Context(), seed)
		require.NoError(t, err)
		require.Equal(t, once.Trace, again.Trace, "seed %d", seed)
		// Whether a task was seen to wait before it was let go on is not the seed's.
		once.Counts.Waits, again.Counts.Waits = 0, 0
		require.Equal(t, once, again, "seed %d", seed)
	}
}

// TestMutants runs the model on products with a fault each: it finds every one of
// them, within some seeds.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred seeds")
	}
	for _, mutant := range model.Mutants() {
		t.Run(mutant.String(), func(t *testing.T) {
			s := simulator(t)
			s.Mutant = mutant
			for seed := uint64(1); seed <= 400; seed++ {
				result, err := s.Run(t.Context(), seed)
				require.NoError(t, err)
				if len(result.Violations) > 0 {
					t.Logf("found by seed %d: %s", seed, result.Violations[0])

					return
				}
			}
			require.Fail(t, "not found")
		})
	}
}
