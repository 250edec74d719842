// Command fuzz runs every fuzz target of the modules that it is told, one after
// the other. It finds them itself: `go test -list` names them, so that a new one
// needs no entry anywhere. `make fuzz` uses it:
//
//	go run ./tests/cmd/withpostgres go run ./tests/cmd/fuzz -for 30s . sdk/go
//
// What breaks a target is written to its testdata/fuzz by go test, and is to be
// committed with the fix. With -keep the shortest of what else was found worth
// keeping, by the code that it reached, is put there too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	each time.Duration
	only *regexp.Regexp
	keep int
}

func main() {
	var s settings
	flag.DurationVar(&s.each, "for", 30*time.Second, "how long each target is fuzzed")
	only := flag.String("run", "", "an expression that the package and name of a target must match, such as bolt11.FuzzDecode")
	flag.IntVar(&s.keep, "keep", 0, "how many of the inputs that were found are kept in testdata/fuzz, for each target")
	flag.Parse()
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz: -run:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = s.run(ctx, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// run goes through all targets, whatever becomes of one.
func (s settings) run(ctx context.Context, modules []string) error {
	if len(modules) == 0 {
		return errors.New("name the folders of modules, such as sdk/go")
	}
	var broken []string
	ran := 0
	for _, module := range modules {
		targets, err := targetsOf(ctx, module)
		if err != nil {
			return fmt.Errorf("%s: %w", module, err)
		}
		for _, t := range targets {
			if !s.only.MatchString(t.String()) {
				continue
			}
			fmt.Println("===", t)
			if err := t.fuzz(ctx, s.each); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				broken = append(broken, t.String())
			}
			if err := t.keep(ctx, s.keep); err != nil {
				return err
			}
			ran++
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d of %d targets broke: %s", len(broken), ran, strings.Join(broken, ", "))
	}
	fmt.Printf("%d targets, each for %s\n", ran, s.each)

	return nil
}

// target is a fuzz target.
type target struct {
	// module and dir are folders, dir that of the package below the module's.
	module, dir, importPath, name string
}

func (t target) String() string { return t.importPath + "." + t.name }

func (t target) fuzz(ctx context.Context, each time.Duration) error {
	cmd := command(ctx, t.module, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(),
		"-fuzzminimizetime", "10s", "-parallel", "1", t.importPath)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr

	return cmd.Run()
}

// targetsOf asks the packages whose tests seem to have targets for their names.
func targetsOf(ctx context.Context, module string) ([]target, error) {
	dirs, err := fuzzedPackages(module)
	if err != nil {
		return nil, err
	}
	var all []target
	for _, dir := range dirs {
		out, err := command(ctx, module, "go", "test", "-list", "^Fuzz", "./"+dir).Output()
		if err != nil {
			return nil, fmt.Errorf("list the targets of %s: %w\n%s", dir, err, out)
		}
		importPath, err := command(ctx, module, "go", "list", "./"+dir).Output()
		if err != nil {
			return nil, fmt.Errorf("name %s: %w", dir, err)
		}
		for line := range strings.Lines(string(out)) {
			if name := strings.TrimSpace(line); strings.HasPrefix(name, "Fuzz") {
				all = append(all, target{module, dir, strings.TrimSpace(string(importPath)), name})
			}
		}
	}
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.String(), b.String()) })

	return all, nil
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second

	return cmd
}
