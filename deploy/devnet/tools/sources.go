package tools

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// modulePath is the product's module, which marks the root of the repository.
const modulePath = "github.com/lntpay/lntpay"

// ErrNoRepository says that the pinned versions cannot be found.
var ErrNoRepository = errors.New("not inside the lntpay repository")

// RepositoryRoot finds the repository above start, or above the working
// directory when start is empty.
func RepositoryRoot(start string) (string, error) {
	start, err := filepath.Abs(start)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if moduleOf(filepath.Join(folder, "go.mod")) == modulePath {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%w (no go.mod of %s in %s or above)", ErrNoRepository, modulePath, start)
		}
	}
}

// sources finds the folder of the tool modules: above the working directory,
// or above the running binary (.lntpay/bin/lntpay lies inside the repository).
func sources() (string, error) {
	root, err := RepositoryRoot("")
	if err != nil {
		executable, lookErr := os.Executable()
		if lookErr != nil {
			return "", err
		}
		var aboveErr error
		if root, aboveErr = RepositoryRoot(filepath.Dir(executable)); aboveErr != nil {
			return "", err
		}
	}

	return filepath.Join(root, "deploy", "devnet", "tools"), nil
}

// moduleOf reads the module path of a go.mod, empty when there is none.
func moduleOf(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if module, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(module)
		}
	}

	return ""
}
