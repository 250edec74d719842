package tools

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// newBuilder makes a builder of the real sources with a cache of its own.
func newBuilder(t *testing.T) (builder, *[]string) {
	t.Helper()
	folder, err := sources()
	require.NoError(t, err)
	var mu sync.Mutex
	said := &[]string{}

	return builder{sources: folder, cache: t.TempDir(), progress: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		*said = append(*said, line)
	}}, said
}

func TestEveryToolHasARecipeAndPinnedVersions(t *testing.T) {
	b, _ := newBuilder(t)
	keys := map[string]Name{}
	for _, name := range All() {
		require.True(t, name.Valid())
		r, ok := recipes()[name]
		require.True(t, ok, name)
		require.NotEmpty(t, r.cold, name)
		key, err := b.key(t.Context(), r)
		require.NoError(t, err, name)
		require.NotContains(t, keys, key, "%s and %s share a cache folder", name, keys[key])
		keys[key] = name
		again, err := b.key(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, key, again)
	}
	require.False(t, Name("lncli").Valid())
}

// The binary is already in the cache: nothing is built, nothing is said.
func TestEnsureUsesTheCache(t *testing.T) {
	b, said := newBuilder(t)
	key, err := b.key(t.Context(), recipes()[Btcd])
	require.NoError(t, err)
	want := filepath.Join(b.cache, key, string(Btcd))
	require.NoError(t, os.MkdirAll(filepath.Dir(want), 0o755))
	require.NoError(t, os.WriteFile(want, []byte("binary"), 0o755))

	got, err := b.ensure(t.Context(), Btcd)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Empty(t, *said)
}

func TestEnsureRefusesAnUnknownTool(t *testing.T) {
	b, _ := newBuilder(t)
	_, err := b.ensure(t.Context(), "lncli")
	require.ErrorContains(t, err, "temporal-server")
}

// Several at once build once.
func TestConcurrentBuildsBuildOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("builds btcd")
	}
	b, said := newBuilder(t)
	var group sync.WaitGroup
	paths := make([]string, 3)
	for i := range paths {
		group.Go(func() {
			path, err := b.ensure(t.Context(), Btcd)
			if err == nil {
				paths[i] = path
			}
		})
	}
	group.Wait()
	for _, path := range paths {
		require.FileExists(t, path)
		require.Equal(t, paths[0], path)
	}
	built := 0
	for _, line := range *said {
		if len(line) > 8 && line[:8] == "building" {
			built++
		}
	}
	require.Equal(t, 1, built, *said)
	entries, err := os.ReadDir(filepath.Dir(paths[0]))
	require.NoError(t, err)
	require.Len(t, entries, 2, "the binary and its lock, nothing half built")
}

func TestRepositoryRoot(t *testing.T) {
	_, err := RepositoryRoot(t.TempDir())
	require.ErrorIs(t, err, ErrNoRepository)
	root, err := RepositoryRoot("")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "main.go"))
}

func TestAPatchMustFitExactlyOnce(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "main.go")
	require.NoError(t, os.WriteFile(path, []byte("wait(300)\n"), 0o600))
	p := patch{file: "main.go", from: "300", to: "0"}
	require.NoError(t, p.apply(folder))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "wait(0)\n", string(text))
	require.ErrorContains(t, p.apply(folder), "0 times")
}
