package flock_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/internal/flock"
)

func TestLockExcludesAndReleases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "lock")
	first, err := flock.Try(path)
	require.NoError(t, err)

	_, err = flock.Try(path)
	require.ErrorIs(t, err, flock.ErrHeld)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waited := false
	_, err = flock.Wait(ctx, path, func() { waited = true })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, waited)

	require.NoError(t, first.Release())
	second, err := flock.Try(path)
	require.NoError(t, err)
	require.NoError(t, second.Release())
}
