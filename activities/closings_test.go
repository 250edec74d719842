package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What expires together is woken apart: each charge's place is in its row, where
// a later look finds the same and the sweeper does not come before it.
func TestEachChargeHasItsPlaceToBeClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many, most = 100, 20
	perSecond := map[int64]int{}
	for range many {
		id := w.opened(t)
		row := w.row(t, id)
		require.False(t, row.NextCheckAt.Before(*row.ExpiresAt))
		perSecond[row.NextCheckAt.Unix()]++
		state, err := w.LookAtCharge(t.Context(), id)
		require.NoError(t, err)
		require.InDelta(t, time.Until(*row.NextCheckAt).Seconds(), state.DueIn.Seconds(), 2)
	}
	for second, n := range perSecond {
		require.LessOrEqual(t, n, most, "%d", second)
	}
	require.GreaterOrEqual(t, len(perSecond), many/most)

	// Who looks after the expiry closes, whatever the place is.
	id := w.opened(t)
	w.exec(t, "UPDATE charge SET expires_at = now() - interval '1 second' WHERE id = $1", id)
	state, err := w.LookAtCharge(t.Context(), id)
	require.NoError(t, err)
	require.Negative(t, state.DueIn)
	w.sound(t)
}
