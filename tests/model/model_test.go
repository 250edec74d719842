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
	seeds = flag.Uint64("seeds", 1000, "how many seeds TestSeeds runs")
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
	var all model.Counts
	began := time.Now()
	for seed := *first; seed < *first+*seeds; seed++ {
		result, err := s.Run(t.Context(), seed)
		require.NoError(t, err)
		all.Add(result.Counts)
		require.Empty(t, result.Violations, "replay: %s", model.Replay(seed))
	}
	t.Logf("%s in %s", all.String(), time.Since(began).Round(time.Second))
}
