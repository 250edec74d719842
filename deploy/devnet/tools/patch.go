package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// patch replaces one piece of a tool's source, which must be there exactly
// once: a new version that changed it stops the build instead of losing the
// patch.
type patch struct{ file, from, to string }

// btcdPatches make a regtest btcd keep its chain. As released it deletes its
// database at every start on regtest (btcd.go, removeRegressionDB), and it
// holds up to five minutes of blocks in memory, which a crash then loses; on
// the public networks peers would send them again, here nobody can, and lnd
// does not get over a chain that became shorter. Writing every change out at
// once is made affordable by leaving the sync to the kernel: the chain survives
// kill -9, though not a power failure.
//
// It also insists on a folder in the home that /etc/passwd names, which system
// users do not have; $HOME, which the stack sets, is enough.
func btcdPatches() []patch {
	return []patch{
		{file: "btcd.go", from: "\tremoveRegressionDB(dbPath)\n", to: "\t_ = removeRegressionDB // keep the chain\n"},
		{file: "database/ffldb/dbcache.go", from: "defaultFlushSecs = 300", to: "defaultFlushSecs = 0"},
		{file: "database/ffldb/db.go", from: "ErrorIfExist: create,", to: "ErrorIfExist: create, NoSync: true,"},
		{
			file: "config.go", from: `btcutil.AppDataDir("btcd", false)`,
			to: `filepath.Join(os.Getenv("HOME"), ".btcd")`,
		},
		{file: "database/ffldb/blockio.go", from: "err := wc.curFile.file.Sync(); err", to: "err := error(nil); err"},
	}
}

// patchedModule copies the module of a tool into folder, patches the copy and
// writes a go.mod that uses it. It returns the path of that go.mod.
func patchedModule(ctx context.Context, moduleDir, module, folder string, patches []patch) (string, error) {
	original, err := downloadedModule(ctx, moduleDir, module)
	if err != nil {
		return "", err
	}
	source := filepath.Join(folder, "source")
	if err := copyTree(original, source); err != nil {
		return "", fmt.Errorf("copy %s: %w", module, err)
	}
	for _, p := range patches {
		if err := p.apply(source); err != nil {
			return "", err
		}
	}
	mod, err := os.ReadFile(filepath.Join(moduleDir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read go.mod: %w", err)
	}
	sum, err := os.ReadFile(filepath.Join(moduleDir, "go.sum"))
	if err != nil {
		return "", fmt.Errorf("read go.sum: %w", err)
	}
	path := filepath.Join(folder, "patched.mod")
	mod = fmt.Appendf(mod, "\nreplace %s => %s\n", module, source)

	return path, errors.Join(os.WriteFile(path, mod, 0o600), os.WriteFile(filepath.Join(folder, "patched.sum"), sum, 0o600))
}

// apply patches one file.
func (p patch) apply(source string) error {
	path := filepath.Join(source, p.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("patch: %w", err)
	}
	if n := strings.Count(string(text), p.from); n != 1 {
		return fmt.Errorf("patch %s: %q is there %d times, want once; look at what the new version changed", p.file, p.from, n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), p.from, p.to, 1)), 0o600); err != nil {
		return fmt.Errorf("patch: %w", err)
	}

	return nil
}

// downloadedModule is where the module cache holds a module; it is downloaded
// if it is not there.
func downloadedModule(ctx context.Context, moduleDir, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir, cmd.Env = moduleDir, append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("download %s: %w\n%s", module, err, out)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("download %s: %w", module, err)
	}

	return answer.Dir, nil
}

// copyTree copies a folder. The copies are writable, which files of the module
// cache are not.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}

		return os.WriteFile(target, text, 0o600)
	})
}
