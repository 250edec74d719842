package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/lntpay/lntpay/tests/load"
)

// packages break a real stack, by turns: its processes, then its containers.
var packages = []string{"./tests/faults", "./tests/compose"}

// round is one run of the tests of one package.
type round struct {
	pkg                     string
	passed, failed, skipped int
	took                    time.Duration
	err                     error
}

// roundTimeout is go test's own.
const roundTimeout = "60m"

// stack runs rounds until the time is over. One that has begun is not cut off,
// since its processes must end in order; one that would not end in time, as the
// last of its package tells, is not begun.
func (s *soak) stack(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lntpay-soak-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	last := map[string]time.Duration{}
	for ctx.Err() == nil {
		pkg := packages[len(s.rounds)%len(packages)]
		if !time.Now().Add(last[pkg]).Before(s.until) {
			break
		}
		path := filepath.Join(dir, fmt.Sprintf("round-%d.log", len(s.rounds)+1))
		r := runRound(ctx, pkg, path)
		last[pkg] = r.took
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.rounds = append(s.rounds, r)
		fmt.Printf("round %d: %s\n", len(s.rounds), r)
		if r.err != nil {
			fmt.Printf("VIOLATION on the real stack, see %s\n", path)

			return fmt.Errorf("the real stack, round %d: %w: %w", len(s.rounds), errViolation, r.err)
		}
	}

	return os.RemoveAll(dir)
}

// String says what came of it.
func (r round) String() string {
	return fmt.Sprintf("%s: %d tests passed, %d failed, %d skipped in %s",
		r.pkg, r.passed, r.failed, r.skipped, r.took.Round(time.Second))
}

// runRound makes all faults of a package, the long ones too.
func runRound(ctx context.Context, pkg, path string) (r round) {
	r.pkg = pkg
	log, err := os.Create(path)
	if err != nil {
		r.err = err

		return r
	}
	defer func() { _ = log.Close() }()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-timeout", roundTimeout, pkg)
	cmd.Env = append(os.Environ(), load.EnvSoak+"=1")
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
