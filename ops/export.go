package ops

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Exported is what `ops export` prints when it wrote a file.
type Exported struct {
	What   string `json:"what"`
	Format string `json:"format"`
	File   string `json:"file"`
	Rows   int64  `json:"rows"`
	// AsOf is the one instant that all rows are of.
	AsOf time.Time `json:"as_of"`
}

// exportChoice are the flags of an export.
type exportChoice struct {
	common

	set                 dataset
	format, out         string
	workspace, from, to string
	filter              exportFilter
}

func exportCommand(connect Connect) *cobra.Command {
	e := &exportChoice{common: common{connect: connect, limit: longTimeout}}
	names := []string{}
	for _, set := range datasets() {
		names = append(names, set.name)
	}
	cmd := &cobra.Command{
		Use: "export (" + strings.Join(names, " | ") + ") --format csv|jsonl [--out FILE]", Args: cobra.ExactArgs(1), ValidArgs: names,
		Short: "Write the ledger, payments or the audit trail as CSV or JSON Lines, all of one instant",
		Long: `Write the ledger, payments or the audit trail as CSV or JSON Lines, all of one instant. Amounts are
millisatoshis, times UTC. No preimage and no secret is in any of them. With --out the file appears
when it is whole; one that is there is not overwritten. docs/audit.md explains the columns.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.check(args[0]); err != nil {
				return err
			}

			return e.run(cmd, func(ctx context.Context, b Backend) error { return e.export(ctx, cmd, b) })
		},
	}
	e.register(cmd)
	cmd.Flags().StringVar(&e.format, "format", "csv", "csv or jsonl")
	cmd.Flags().StringVar(&e.out, "out", "", "write this file, and a summary on the standard output")
	cmd.Flags().StringVar(&e.workspace, "workspace", "", "only of this workspace (ws_…)")
	cmd.Flags().StringVar(&e.from, "from", "", "not older than this: a time (RFC 3339), a day (UTC) or a duration such as 24h")
	cmd.Flags().StringVar(&e.to, "to", "", "older than this: a time, a day or a duration")

	return cmd
}

func (e *exportChoice) check(name string) (err error) {
	if e.set, err = setFor(name); err != nil {
		return err
	}
	e.filter = exportFilter{workspace: e.workspace, since: time.Unix(0, 0), until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	switch {
	case !slices.Contains([]string{"csv", "jsonl"}, e.format):
		return fmt.Errorf("--format: %q is neither csv nor jsonl", e.format)
	case e.workspace != "" && e.set.environment:
		return fmt.Errorf("--workspace: %s is of the whole environment", name)
	case e.workspace != "" && !payments.ValidID(payments.PrefixWorkspace, e.workspace):
		return fmt.Errorf("--workspace: %q is no id of a workspace (ws_…)", e.workspace)
	case e.asJSON && e.out == "":
		return errors.New("--json: prints the summary of a file, name one by --out; for rows as JSON there is --format jsonl")
	}
	if e.from != "" {
		if e.filter.since, err = parseTime(e.from); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	if e.to != "" {
		if e.filter.until, err = parseTime(e.to); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
	}

	return nil
}

// export writes to the standard output, or a file and its summary.
func (e *exportChoice) export(ctx context.Context, cmd *cobra.Command, b Backend) error {
	if e.out == "" {
		_, _, err := e.write(ctx, b, cmd.OutOrStdout())

		return err
	}
	if _, err := os.Lstat(e.out); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--out: %s is there already", e.out)
	}
	// Beside its place, so that the rename is one step; readable by its owner.
	file, err := os.CreateTemp(filepath.Dir(e.out), filepath.Base(e.out)+".*.partial")
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	done := Exported{What: e.set.name, Format: e.format, File: e.out}
	done.Rows, done.AsOf, err = e.write(ctx, b, file)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	// Not a rename, which would replace what somebody else wrote meanwhile.
	if err := os.Link(file.Name(), e.out); err != nil {
		return fmt.Errorf("--out: %w", err)
	}

	return e.print(cmd, done, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d rows in %s, as of %s\n", done.What, done.Rows, done.File, at(done.AsOf))
	})
}

// write streams the rows from one snapshot, in pages.
func (e *exportChoice) write(ctx context.Context, b Backend, to io.Writer) (rows int64, asOf time.Time, err error) {
	buffered := bufio.NewWriterSize(to, 64<<10)
	var writer rowWriter = &csvRows{to: buffered}
	if e.format == "jsonl" {
		writer = &jsonRows{to: buffered}
	}
	if err := writer.header(e.set.columns); err != nil {
		return 0, asOf, fmt.Errorf("write: %w", err)
	}
	err = b.Store.Snapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		if err := q.BeginExport(ctx); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		if asOf, err = q.ExportClock(ctx); err != nil {
			return fmt.Errorf("read the clock: %w", err)
		}

		return e.set.rows(ctx, tx, e.filter, func(values ...any) error {
			rows++

			return writer.row(e.set.columns, values)
		})
	})
	if err != nil {
		return rows, asOf, fmt.Errorf("export %s: %w", e.set.name, err)
	}
	if err := buffered.Flush(); err != nil {
		return rows, asOf, fmt.Errorf("write: %w", err)
	}

	return rows, asOf.UTC(), nil
}
