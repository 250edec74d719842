// Command configdoc writes what documents the settings: the tables in
// docs/configuration.md, between markers, and deploy/lntpay.example.yaml. Texts
// are the comments in package config, defaults are Defaults(), units are read
// off the names. Run it by `make generate`, in the repository's root.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	sourceDir   = "config"
	pageFile    = "docs/configuration.md"
	exampleFile = "deploy/lntpay.example.yaml"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil { //nolint:gosec // Documentation.
			return err
		}
	}

	return nil
}

// generate gives the text of each file as it should be.
func generate(root string) (map[string]string, error) {
	texts, err := readComments(filepath.Join(root, sourceDir))
	if err != nil {
		return nil, err
	}
	page, err := os.ReadFile(filepath.Join(root, pageFile))
	if err != nil {
		return nil, err
	}
	tables, err := fillPage(string(page), texts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pageFile, err)
	}
	example, err := exampleYAML(texts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", exampleFile, err)
	}

	return map[string]string{pageFile: tables, exampleFile: example}, nil
}
