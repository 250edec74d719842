// Package flock locks files between processes. A lock ends with the process
// that holds it, however that process ends, so a crash never leaves one behind.
package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrHeld says that another process holds the lock.
var ErrHeld = errors.New("the lock is held by another process")

// pollInterval is how often Wait looks again; flock(2) itself cannot be
// cancelled by a context.
const pollInterval = 200 * time.Millisecond

// Lock is a lock that is held.
type Lock struct{ file *os.File }

// Try takes the lock on path, which it creates when missing, or returns an
// error that wraps ErrHeld at once.
func Try(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of a lock: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	if err := lock(file); err != nil {
		_ = file.Close()

		return nil, fmt.Errorf("lock %s: %w", path, err)
	}

	return &Lock{file: file}, nil
}

// Wait takes the lock on path, waiting for another holder until ctx ends.
// onWait, if any, is called once when it has to wait.
func Wait(ctx context.Context, path string, onWait func()) (*Lock, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for first := true; ; first = false {
		held, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return held, err
		}
		if first && onWait != nil {
			onWait()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

// Write replaces the content of the lock file, so that others can read who
// holds it.
func (l *Lock) Write(text string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write a lock: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write a lock: %w", err)
	}

	return nil
}

// Release gives the lock back. The file stays: removing it would let a third
// process lock a new file while a second still holds the old one.
func (l *Lock) Release() error { return l.file.Close() }
