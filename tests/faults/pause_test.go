package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/tests/load"
)

// pausedFor is how long a process stands still: longer than it may send a payment
// after its licence (20 s), than Postgres waits for whoever holds a transaction
// open (15 s), and than heartbeats are waited for.
func pausedFor() time.Duration {
	if load.Soak() {
		return 40 * time.Second
	}

	return 22 * time.Second
}

// restarts are the ways in which `pg_ctl restart` ends Postgres; whoever runs it,
// here `lntpay dev`, starts it again.
var restarts = map[string]syscall.Signal{"fast": syscall.SIGINT, "immediate": syscall.SIGQUIT}

// pauseUnderLoad stops one process where it is and lets it go on long after:
// it finds a world that has gone on without it.
func pauseUnderLoad(t *testing.T, s *stack, w *workspace, random *rand.Rand, name string) {
	underLoad(t, s, w, random, "pause "+name, func() load.Outage { return s.pause(t, name, pausedFor()) })
}

// pause stops a process for so long, and waits until it serves.
func (s *stack) pause(t *testing.T, name string, d time.Duration) load.Outage {
	t.Helper()
	pid := s.pid(t, name)
	from := time.Now()
	resume := stopTree(t, pid)
	load.Pause(t, d, nil)
	resume()
	on := time.Now()
	s.awaitReady(t)
	o := load.Outage{From: from, To: time.Now()}
	require.Equal(t, pid, s.pid(t, name), "%s is another process", name)
	t.Logf("%s: stood still for %s, ready %s later", name, on.Sub(from).Round(time.Millisecond), o.To.Sub(on).Round(time.Millisecond))

	return o
}

// stopTree stops a process and all below it, such as Postgres' for each client,
// each of which leads a group of its own. The parent is first: it makes no more.
func stopTree(t *testing.T, pid int) (resume func()) {
	t.Helper()
	var stopped []int
	resume = func() {
		for _, one := range slices.Backward(stopped) {
			_ = syscall.Kill(one, syscall.SIGCONT)
		}
		stopped = nil
	}
	t.Cleanup(resume)
	for next := []int{pid}; len(next) > 0; {
		for _, one := range next {
			if err := syscall.Kill(one, syscall.SIGSTOP); errors.Is(err, syscall.ESRCH) {
				continue // It ended meanwhile.
			}
			stopped = append(stopped, one)
		}
		next = slices.DeleteFunc(descendants(t, pid), func(one int) bool { return slices.Contains(stopped, one) || !runs(one) })
	}

	return resume
}

// startSecondWorker runs another worker beside the stack's until the test ends.
func (s *stack) startSecondWorker(t *testing.T) {
	t.Helper()
	env, err := s.dev.Environ()
	require.NoError(t, err)
	port, err := freeport.Take(1)
	require.NoError(t, err)
	operator := fmt.Sprintf("127.0.0.1:%d", port)
	env["LNTPAY_WORKER_OPERATOR_LISTEN"] = operator
	var variables []string
	for name, value := range env {
		variables = append(variables, name+"="+value)
	}
	process, err := devnet.Start(t.Context(), devnet.Spec{
		Name: "second worker", Path: s.program, Args: func() []string { return []string{"worker"} },
		Env: variables, Dir: s.dir, Log: filepath.Join(s.dir, "state", "logs", "second_worker.log"),
		Ready: func(context.Context) error {
			if why := notReady("http://" + operator + "/readyz"); why != "" {
				return errors.New(why)
			}

			return nil
		},
		StopWithin: time.Minute,
	})
	require.NoError(t, err)
	t.Cleanup(process.Stop)
}
