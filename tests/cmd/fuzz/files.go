package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fuzzedPackages are the folders of a module whose tests have the beginning of
// a target: listing those of all packages would compile all of their tests.
func fuzzedPackages(module string) ([]string, error) {
	found := map[string]bool{}
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skipped(module, path, entry.Name())
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("\nfunc Fuzz")) {
			dir, err := filepath.Rel(module, filepath.Dir(path))
			found[filepath.ToSlash(dir)] = true

			return err
		}

		return nil
	})
	dirs := make([]string, 0, len(found))
	for dir := range found {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)

	return dirs, err
}

// skipped passes by other modules and what Go passes by.
func skipped(module, path, name string) error {
	if path == module {
		return nil
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	if err == nil || name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") {
		return fs.SkipDir
	}

	return nil
}

// longest is how long an input is kept: a longer one tells a reader little.
const longest = 4 << 10

// keep copies the shortest inputs of the cache until testdata/fuzz has so many.
func (t target) keep(ctx context.Context, most int) error {
	if most == 0 {
		return nil
	}
	cache, err := command(ctx, t.module, "go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("find the cache: %w", err)
	}
	from := filepath.Join(strings.TrimSpace(string(cache)), "fuzz", filepath.FromSlash(t.importPath), t.name)
	to := filepath.Join(t.module, t.dir, "testdata", "fuzz", t.name)
	kept, err := inputs(to)
	if err != nil {
		return err
	}
	found, err := inputs(from)
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b input) int {
		return cmp.Or(cmp.Compare(len(a.text), len(b.text)), cmp.Compare(a.name, b.name))
	})
	for _, one := range found {
		known := slices.ContainsFunc(kept, func(k input) bool { return bytes.Equal(k.text, one.text) })
		if len(kept) >= most || known || len(one.text) > longest {
			continue
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, one.name), one.text, 0o644); err != nil {
			return err
		}
		kept = append(kept, one)
	}

	return nil
}

// input is a file of a corpus.
type input struct {
	name string
	text []byte
}

// inputs are the files of a corpus; none where there is no folder.
func inputs(dir string) ([]input, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make([]input, 0, len(entries))
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, input{entry.Name(), text})
	}

	return all, nil
}
