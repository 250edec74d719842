package activities

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIncarnation(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	var i incarnation
	for _, step := range []struct {
		now  string
		err  error
		back bool
	}{
		{"a", nil, false}, {"a", nil, false},
		{"", away, false}, {"", away, false}, {"a", nil, true}, {"a", nil, false},
		{"b", nil, true}, {"b", nil, false},
		{"", away, false}, {"c", nil, true}, {"c", nil, false},
	} {
		require.Equal(t, step.back, i.isBack(step.now, step.err), "%+v", step)
	}
	i = incarnation{}
	require.False(t, i.isBack("", away))
	require.True(t, i.isBack("a", nil), "away from the start")
}
