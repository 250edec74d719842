package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{}
	flag.StringVar(&o.env, "env", "", "write the variables of docker-compose.yml to this file")
	flag.BoolVar(&o.pin, "pin", false, "name the content's tags instead of :local in that file")
	flag.BoolVar(&o.refresh, "refresh", false, "make the Postgres image anew, with today's Debian packages")
	flag.Parse()
	o.names = flag.Args()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

type options struct {
	env          string
	pin, refresh bool
	// names are the images to build; all when empty.
	names []string
}

// run builds all images and says what they are.
func run(ctx context.Context, o options, out, progress io.Writer) error {
	root, err := tools.RepositoryRoot("")
	if err != nil {
		return err
	}
	say := func(line string) { _, _ = fmt.Fprintln(progress, line) }
	docker, err := newDocker(ctx)
	if err != nil {
		return err
	}
	images, err := catalog(root, say)
	if err != nil {
		return err
	}
	var env bytes.Buffer
	fmt.Fprintf(&env, "# Written by `make images`: the images that docker-compose.yml runs.\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, one := range images {
		if len(o.names) > 0 && !slices.Contains(o.names, one.name) {
			continue
		}
		began := time.Now()
		made, err := docker.ensure(ctx, one, o.refresh, say)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		how := "was there"
		if made.built {
			how = fmt.Sprintf("built in %.1f s", time.Since(began).Seconds())
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%.0f MB\t%s\n", one.local(), made.tag, float64(made.bytes)/1e6, how)
		tag := one.local()
		if o.pin {
			tag = made.tag
		}
		fmt.Fprintf(&env, "%s=%s\n", one.variable, tag)
	}
	if err := table.Flush(); err != nil || o.env == "" {
		return err
	}

	return os.WriteFile(o.env, env.Bytes(), 0o644)
}
