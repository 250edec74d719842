package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ops"
	"github.com/lntpay/lntpay/store"
)

// Limits of a workspace are set and cleared by name and reason, and shown with
// the settings that hold otherwise.
func TestLimits(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	own := func(args ...string) map[string]int64 {
		t.Helper()
		text, err := b.run(append(args, "--workspace", b.workspace, "--json")...)
		require.NoError(t, err)
		var shown ops.Limits
		require.NoError(t, json.Unmarshal([]byte(text), &shown))
		require.Len(t, shown.Limits, len(store.LimitNames()))
		values := map[string]int64{}
		for _, limit := range shown.Limits {
			if limit.Own != nil {
				values[limit.Name] = *limit.Own
			}
		}

		return values
	}
	require.Empty(t, own("limits", "show"))
	signed := []string{"--by", "anna", "--reason", "a sale"}
	require.Equal(t, map[string]int64{"limits.key_per_second": 500, "payouts.max_amount_msat": 0},
		own(append(signed, "limits", "set", "limits.key_per_second=500", "payouts.max_amount_msat=0")...))
	require.Equal(t, map[string]int64{"limits.key_per_second": 500},
		own(append(signed, "limits", "clear", "payouts.max_amount_msat")...))
	require.Equal(t, map[string]int64{"limits.key_per_second": 500}, own("limits", "show"))
	trail, err := b.run("audit")
	require.NoError(t, err)
	require.Contains(t, trail, "a sale")
	require.Contains(t, trail, `"limits.key_per_second": 500`)
	_, err = b.signed("limits", "set", "--workspace", someWorkspace, "limits.key_burst=1")
	require.ErrorIs(t, err, store.ErrNotFound)
	// Every name that is offered can be kept.
	for _, name := range store.LimitNames() {
		_, err := b.signed("limits", "set", "--workspace", b.workspace, name+"=1")
		require.NoError(t, err)
	}
}

func TestLimitsAreCheckedFirst(t *testing.T) {
	t.Parallel()
	connect := func(context.Context, string, func(context.Context, ops.Backend) error) error {
		return errors.New("connected")
	}
	for want, args := range map[string][]string{
		"--workspace":    {"show", "--workspace", "acme"},
		"--reason":       {"set", "--workspace", someWorkspace, "--by", "anna", "limits.key_burst=1"},
		"NAME=VALUE":     {"set", "--workspace", someWorkspace, "--by", "anna", "--reason", "x", "limits.key_burst"},
		"none of":        {"set", "--workspace", someWorkspace, "--by", "anna", "--reason", "x", "limits.key=1"},
		"whole number":   {"set", "--workspace", someWorkspace, "--by", "anna", "--reason", "x", "limits.key_burst=-1"},
		"given twice":    {"clear", "--workspace", someWorkspace, "--by", "anna", "--reason", "x", "limits.key_burst", "limits.key_burst"},
		"at least 1 arg": {"clear", "--workspace", someWorkspace, "--by", "anna", "--reason", "x"},
	} {
		_, err := run(t, connect, append([]string{"limits"}, args...)...)
		require.ErrorContains(t, err, want)
	}
}
