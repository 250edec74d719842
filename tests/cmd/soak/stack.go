package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// round is one run of the tests of the real stack.
type round struct {
	passed, failed, skipped int
	took                    time.Duration
	err                     error
}

// roundTimeout is go test's own.
const roundTimeout = "60m"

// stack runs rounds until the time is over. One that has begun is not cut off:
// its processes must end in order.
func (s *soak) stack(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lntpay-soak-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	for time.Now().Before(s.until) && ctx.Err() == nil {
		path := filepath.Join(dir, fmt.Sprintf("round-%d.log", len(s.rounds)+1))
		r := runRound(ctx, path)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.rounds = append(s.rounds, r)
		if r.err != nil {
			fmt.Printf("VIOLATION on the real stack, see %s\n", path)

			return fmt.Errorf("the real stack, round %d: %w: %w", len(s.rounds), errViolation, r.err)
		}
	}

	return os.RemoveAll(dir)
}

func runRound(ctx context.Context, path string) (r round) {
	log, err := os.Create(path)
	if err != nil {
		return round{err: err}
	}
	defer func() { _ = log.Close() }()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-timeout", roundTimeout, "./tests/faults")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	r.err = cmd.Run()
	r.took = time.Since(began)
	text, err := os.ReadFile(path)
	if err != nil {
		r.err = err
	}
	for line := range bytes.Lines(text) {
		switch line = bytes.TrimSpace(line); {
		case bytes.HasPrefix(line, []byte("--- PASS")):
			r.passed++
		case bytes.HasPrefix(line, []byte("--- FAIL")):
			r.failed++
		case bytes.HasPrefix(line, []byte("--- SKIP")):
			r.skipped++
		}
	}

	return r
}
