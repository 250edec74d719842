package suite

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call that is the third each time, because of what others ask for, gets
// through before its client gives up, who tries seven times.
func TestBadNetworkLetsEachCallThrough(t *testing.T) {
	t.Parallel()
	var network bad
	unlucky, other := httptest.NewRequest(http.MethodGet, "/unlucky", http.NoBody), httptest.NewRequest(http.MethodGet, "/other", http.NoBody)
	for range mostInARow {
		require.True(t, network.fails(unlucky, 3))
		require.True(t, network.fails(other, 6))
		require.False(t, network.fails(other, 7))
	}
	require.False(t, network.fails(unlucky, 9))
	require.True(t, network.fails(unlucky, 12), "another call of the same path")
}
