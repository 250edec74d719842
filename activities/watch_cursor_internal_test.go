package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// No receipt falls between two moves of the cursor: each is ten minutes old at
// one of them, which looks back further than to the one before.
func TestMovesOfTheCursorLeaveNothingOut(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	require.Equal(t, opened, lookFrom(opened, 0), "the first looks at the whole stream")
	moved := time.Duration(0)
	for now := time.Minute; now < time.Hour; now += cursorEvery + time.Second {
		from := lookFrom(opened, moved)
		oldEnoughBefore := opened.Add(moved - 10*time.Minute)
		require.False(t, from.After(oldEnoughBefore) && from.After(opened), "after %s", now)
		require.Less(t, opened.Add(now).Sub(from), cursorLag+2*cursorEvery, "a move looks at a few minutes only")
		moved = now
	}
}
