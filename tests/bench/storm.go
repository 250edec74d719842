package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

const (
	// normalWindow is how many creates in a row tell that all is normal again.
	normalWindow = 20
	// normalTimes is how much slower than before the median of those may be.
	normalTimes = 1.5
	// normalMost is how much slower the slowest of them may be.
	normalMost = 5
	// normalWithin bounds the wait for that.
	normalWithin = 5 * time.Minute
	stormLife    = 6 * 24 * time.Hour
)

// storm kills a worker that holds many open charges, and measures how soon
// creating is as fast as before with the one that takes its place. The worker
// runs with Go's own GOGC, as in production, so that its memory is that.
func (b *bench) storm(ctx context.Context) error {
	s, err := b.newSide(ctx, "storm")
	if s != nil {
		defer s.close(ctx)
	}
	if err != nil {
		return err
	}
	s.env["GOGC"] = "100"
	for _, name := range []string{"worker", "api"} {
		if err := s.start(ctx, name); err != nil {
			return err
		}
	}
	s.creates(ctx, b.seconds)
	worker := s.processes["worker"]
	idle, err := settledMemory(worker.PID())
	if err != nil {
		return err
	}
	began := time.Now()
	opened, err := s.openMany(ctx, b.sizes.storm, func() time.Duration { return stormLife })
	if err != nil {
		return err
	}
	loaded, err := settledMemory(worker.PID())
	if err != nil {
		return err
	}
	fmt.Printf("%d charges opened in %.0f s; the worker's resident memory %.1f → %.1f MiB, %.1f KiB for each open charge\n\n",
		opened, time.Since(began).Seconds(), mib(idle), mib(loaded), mib(loaded-idle)*1024/float64(opened))
	before := load(ctx, 1, b.seconds, func(ctx context.Context) outcome {
		_, got := s.post(ctx)

		return got
	})

	return s.killAndWatch(ctx, before.percentile(50))
}

// killAndWatch ends the worker by SIGKILL; it is started again at once.
func (s *side) killAndWatch(ctx context.Context, median float64) error {
	worker := s.processes["worker"]
	killed := time.Now()
	if err := syscall.Kill(worker.PID(), syscall.SIGKILL); err != nil {
		return err
	}
	normal, ready, err := s.awaitNormal(ctx, median, killed)
	if err != nil {
		return err
	}
	memory, err := settledMemory(worker.PID())
	if err != nil {
		return err
	}
	fmt.Printf("worker killed: the first charge was created %.1f s later, and from %.1f s later on %d in a row had a median of at most %.1f × the %.1f ms before and none more than %d ×; its memory then %.1f MiB\n\n",
		ready.Seconds(), normal.Seconds(), normalWindow, normalTimes, median, normalMost, mib(memory))

	return nil
}

// awaitNormal creates with one client until a whole window is as fast as
// before, and tells when that window began and when the first was created.
func (s *side) awaitNormal(ctx context.Context, median float64, killed time.Time) (normal, first time.Duration, err error) {
	type create struct {
		began time.Time
		took  float64
	}
	var window []create
	for time.Since(killed) < normalWithin {
		began := time.Now()
		if _, got := s.post(ctx); got != done {
			if ctx.Err() != nil {
				return 0, 0, ctx.Err()
			}
			window = nil

			continue
		}
		if first == 0 {
			first = time.Since(killed)
		}
		window = append(window, create{began, ms(time.Since(began))})
		if len(window) < normalWindow {
			continue
		}
		window = window[len(window)-normalWindow:]
		took := make([]float64, normalWindow)
		for i, one := range window {
			took[i] = one.took
		}
		slices.Sort(took)
		if took[normalWindow/2] <= normalTimes*median && took[normalWindow-1] <= normalMost*median {
			return window[0].began.Sub(killed), first, nil
		}
	}

	return 0, first, errors.New("creating did not become as fast as it was")
}

// settledMemory is a process's resident memory once it has come to rest.
func settledMemory(pid int) (int64, error) {
	time.Sleep(settledAfter)

	return residentMemory(pid)
}
