package main

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every kind of process tells what was built, how the runtime fares, and how
// much the process uses.
func TestRegistryOfEveryProcess(t *testing.T) {
	t.Parallel()
	families, err := newRegistry().Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, family := range families {
		names[family.GetName()] = true
		if family.GetName() == "lntpay_build_info" {
			require.Len(t, family.GetMetric()[0].GetLabel(), 3)
		}
	}
	for _, name := range []string{"lntpay_build_info", "go_goroutines", "process_start_time_seconds", "process_resident_memory_bytes"} {
		require.True(t, names[name], name)
	}
	page, err := os.ReadFile("docs/metrics.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "| `lntpay_build_info` | `version`, `commit`, `go` |")
}

func TestBuildLabels(t *testing.T) {
	t.Parallel()
	version, commit, goVersion := buildLabels(nil, false)
	require.Equal(t, "unknown", version)
	require.Equal(t, "unknown", commit)
	require.NotEmpty(t, goVersion)
	version, commit, _ = buildLabels(&debug.BuildInfo{
		Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}},
	}, true)
	require.Equal(t, "v1.2.3", version)
	require.Equal(t, "abc", commit)
}
