package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

var (
	// command is an lntpay command in code, at the beginning of a line or within
	// a text, up to a comment.
	command = regexp.MustCompile("(?m)(?:^(?: {4})?(?:\\$ )?|`)(?:\\.lntpay/bin/)?lntpay ((?:[^`\n ]| [^`\n ])*)")
	word    = regexp.MustCompile(`^[a-z][a-z-]*$`)
	flag    = regexp.MustCompile(`--([a-z][a-z-]*)`)
	// another is what is not this command's: words and commands in it.
	another = regexp.MustCompile(`"[^"]*"|\$\(.*\)`)
)

// The commands that the pages name exist, with the flags that they show. Those
// of operators are not run by a test: there is nothing stuck to show.
func TestCommandsOfThePagesExist(t *testing.T) {
	t.Parallel()
	seen := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range command.FindAllStringSubmatch(string(text), -1) {
			seen++
			requireCommand(t, path, found[1])
		}

		return nil
	}))
	require.Greater(t, seen, 60)
}

// requireCommand looks for a command, of which the words with a | between are
// alternatives.
func requireCommand(t *testing.T, page, text string) {
	t.Helper()
	root := rootCommand()
	root.InitDefaultHelpCmd()
	at, or := root, false
	group := root
	for one := range strings.FieldsSeq(text) {
		if one == "|" {
			or = true

			continue
		}
		if or {
			at, or = group, false
		}
		if !at.HasSubCommands() || !word.MatchString(one) {
			break
		}
		group, at = at, child(at, one)
		require.NotNil(t, at, "%s: lntpay %s: there is no %s", page, text, one)
	}
	for _, name := range flag.FindAllStringSubmatch(another.ReplaceAllString(text, ""), -1) {
		if name[1] == "help" || at.Name() == "help" {
			continue
		}
		require.NotNil(t, at.Flag(name[1]), "%s: lntpay %s: there is no --%s", page, text, name[1])
	}
}

func child(of *cobra.Command, name string) *cobra.Command {
	for _, command := range of.Commands() {
		if command.Name() == name {
			return command
		}
	}

	return nil
}
