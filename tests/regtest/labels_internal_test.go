package regtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNodesThatStartAtOnceShareNoLabels: testcontainers writes its own labels
// into the map of a request. Two nodes that started at once wrote into one
// ("fatal error: concurrent map writes").
func TestNodesThatStartAtOnceShareNoLabels(t *testing.T) {
	boxes, ok := Shared(t).host.(*containers)
	if !ok {
		t.Skip("no Docker daemon answers: nothing is labelled")
	}
	own, err := labels()
	require.NoError(t, err)
	require.Equal(t, own, boxes.labels)
}
