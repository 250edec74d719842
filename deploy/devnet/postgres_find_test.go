package devnet

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// installation makes a folder that looks like an installation.
func installation(t *testing.T, version string) string {
	t.Helper()
	bin := t.TempDir()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, program := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755))
	}

	return bin
}

func TestFindPostgresOnPath(t *testing.T) {
	old, current := installation(t, "12.1"), installation(t, "17.2 (Debian 17.2-1)")
	t.Setenv("PATH", old+":"+t.TempDir()+":"+current)

	found, err := findPostgres(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Equal(t, postgresInstall{bin: current, major: 17}, found, "12 is too old for new data")

	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("12\n"), 0o600))
	found, err = findPostgres(t.Context(), data)
	require.NoError(t, err)
	require.Equal(t, postgresInstall{bin: old, major: 12}, found, "data is run by the version that made it")
}

// The message names what is needed, what was found and how to go on.
func TestFindPostgresSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", installation(t, "14.3"))
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("9\n"), 0o600))
	_, err := findPostgres(t.Context(), data)
	for _, want := range []string{"Postgres 9", data, "found only 14", "apt-get install postgresql", "--database-url"} {
		require.ErrorContains(t, err, want)
	}
}
