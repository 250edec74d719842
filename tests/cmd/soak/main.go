// Command soak looks for what must not be until its time is over: seeds of
// tests/model in this process, and beside it all faults of tests/faults and of
// tests/compose on a real stack, round after round. The first violation ends it. `make soak` runs it:
//
//	SOAK=10m make soak
//
// The first seed is random, and printed; -seed begins at another.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/tests/model"
)

// envDuration is how long to look, as a Go duration.
const envDuration = "SOAK"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	first := flag.Uint64("seed", rand.Uint64N(1<<48), "the first seed")
	stack := flag.Bool("stack", true, "run the tests of the real stack beside the model")
	flag.Parse()
	duration := time.Hour
	if text := os.Getenv(envDuration); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("%s: %w", envDuration, err)
		}
	}
	fmt.Printf("soak: %s, from seed %d\n", duration, *first)
	s := &soak{until: time.Now().Add(duration)}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.model(groupCtx, *first) })
	if *stack {
		group.Go(func() error { return s.stack(groupCtx) })
	}
	err := group.Wait()
	s.report(*first, *stack)
	if err == nil {
		err = ctx.Err()
	}

	return err
}

// soak is what has been looked at.
type soak struct {
	until  time.Time
	counts model.Counts
	rounds []round
	// violations are those of the model.
	violations []string
}

// errViolation ends a soak.
var errViolation = errors.New("what must not be, is")

// progressEvery is between two lines that say that it goes on.
const progressEvery = time.Minute

// model runs seeds until the time is over.
func (s *soak) model(ctx context.Context, seed uint64) error {
	simulator, err := model.New(ctx)
	if err != nil {
		return err
	}
	defer simulator.Close(context.WithoutCancel(ctx))
	progress := time.Now().Add(progressEvery)
	for ; time.Now().Before(s.until) && ctx.Err() == nil; seed++ {
		result, err := simulator.Run(ctx, seed)
		if err != nil {
			return err
		}
		s.counts.Add(result.Counts)
		if len(result.Violations) > 0 {
			s.violations = result.Violations
			fmt.Printf("VIOLATION in seed %d: %q\nreplay: %s\n", seed, result.Violations, model.Replay(seed))

			return fmt.Errorf("seed %d: %w", seed, errViolation)
		}
		if time.Now().After(progress) {
			progress = time.Now().Add(progressEvery)
			fmt.Printf("%s left, %d seeds, %d steps\n", time.Until(s.until).Round(time.Second), s.counts.Seeds, s.counts.Steps)
		}
	}

	return nil
}

// report says what was looked at.
func (s *soak) report(first uint64, stack bool) {
	fmt.Printf("\nmodel: from seed %d: %s\n%d violations\n", first, s.counts.String(), len(s.violations))
	if !stack {
		return
	}
	failed := 0
	for i, r := range s.rounds {
		if r.err != nil {
			failed++
		}
		fmt.Printf("real stack, round %d: %s\n", i+1, r)
	}
	fmt.Printf("real stack: %d rounds, %d with a violation\n", len(s.rounds), failed)
}
