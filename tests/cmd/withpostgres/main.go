// Command withpostgres runs a command, such as go test, beside a throwaway
// Postgres that tests may fill with databases. `make test` uses it:
//
//	go run ./tests/cmd/withpostgres go test ./...
//
// Before that it builds the pinned tools that tests run, so that minutes of
// compiling do not count against a test's timeout, and afterwards it says in
// which way the Lightning network of the tests ran. It runs as root and as
// any other user: devnet finds Postgres and gives root's server a user.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/deploy/devnet/tools"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/tests/regtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return errors.New("name a command, such as: go test")
	}
	if !slices.Contains(command, "-short") {
		if _, err := tools.Build(ctx, func(line string) { fmt.Fprintln(os.Stderr, line) }); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "lntpay-tests-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	report := filepath.Join(dir, "regtest")
	env := []string{regtest.EnvReport + "=" + report}
	if os.Getenv(storetest.EnvDatabaseURL) == "" {
		port, err := freeport.Take(1)
		if err != nil {
			return err
		}
		dsn, stop, err := devnet.StartPostgres(ctx, filepath.Join(dir, "postgres"), port)
		if err != nil {
			return fmt.Errorf("start a Postgres for the tests: %w", err)
		}
		defer stop()
		env = append(env, storetest.EnvDatabaseURL+"="+dsn)
	}
	err = execute(ctx, command, env)
	fmt.Fprintln(os.Stderr, summary(report))

	return err
}

// execute runs the command. An interrupt reaches it too, and it gets the time
// to end what it started.
func execute(ctx context.Context, command, env []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute

	return cmd.Run()
}

// summary says what the tests ran against, and what they passed without having
// proved.
func summary(report string) string {
	text, _ := os.ReadFile(report)
	lines := slices.Sorted(strings.Lines(string(text)))
	var ways, notProven []string
	for _, line := range slices.Compact(lines) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, regtest.NotProven) {
			notProven = append(notProven, line)
		} else {
			ways = append(ways, line)
		}
	}
	said := "no test needed a regtest network"
	if len(ways) > 0 {
		said = "real lnd and btcd on regtest ran " + strings.Join(ways, ", and ")
	}

	return strings.Join(append([]string{said}, notProven...), "\n")
}
