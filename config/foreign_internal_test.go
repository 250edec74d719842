package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a test is told by the environment reaches the programs that it starts,
// which must not take it for an unknown setting.
func TestVariablesOfTestsAreNoSettings(t *testing.T) {
	t.Parallel()
	read := regexp.MustCompile(`(?:os\.(?:Getenv|LookupEnv)\(|[eE]nv\w* += )"(LNTPAY_\w+)"`)
	found := 0
	require.NoError(t, filepath.WalkDir("../tests", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range read.FindAllStringSubmatch(string(text), -1) {
			found++
			if !slices.Contains(foreign, match[1]) {
				t.Errorf("%s reads %s, which config refuses as an unknown setting", path, match[1])
			}
		}

		return nil
	}))
	require.Greater(t, found, 5)
}
