package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// ExitFindings says that something is otherwise than it must be.
const ExitFindings = 1

// Finding is a row of `ops findings`.
type Finding struct {
	ID        int64  `json:"id"`
	Invariant string `json:"invariant"`
	Kind      string `json:"kind"`
	Subject   string `json:"subject"`
	// WorkspaceID is empty where it is of no single workspace.
	WorkspaceID string          `json:"workspace_id"`
	Detail      json.RawMessage `json:"detail"`
	FirstSeen   time.Time       `json:"first_seen"`
	LastSeen    time.Time       `json:"last_seen"`
	// Do is the section of the runbook that says what to do.
	Do string `json:"do"`
}

// Findings is what `ops findings` prints.
type Findings struct {
	Findings []Finding `json:"findings"`
	// Node and Report are of the last reconciliation that got to its end.
	Node   string                    `json:"node"`
	Report workflows.ReconcileReport `json:"report"`
}

func finding(row db.Finding) Finding {
	f := Finding{
		ID: row.ID, Invariant: row.Invariant, Kind: row.Kind, Subject: row.Subject, Detail: row.Detail,
		FirstSeen: row.FirstSeen.UTC(), LastSeen: row.LastSeen.UTC(),
		Do: "docs/runbooks/invariant_broken.md#" + row.Kind,
	}
	if row.WorkspaceID != nil {
		f.WorkspaceID = *row.WorkspaceID
	}

	return f
}

func (f Findings) text(w io.Writer) {
	if f.Report.At.IsZero() {
		fmt.Fprintln(w, "no reconciliation got to its end yet")
	} else {
		fmt.Fprintln(w, f.Report)
	}
	if len(f.Findings) == 0 {
		fmt.Fprintln(w, "nothing is otherwise than it must be")

		return
	}
	fmt.Fprintln(w, "FINDING\tINVARIANT\tKIND\tSUBJECT\tWORKSPACE\tSINCE\tDETAIL\tWHAT TO DO")
	for _, one := range f.Findings {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.ID, one.Invariant, one.Kind, one.Subject,
			one.WorkspaceID, at(one.FirstSeen), one.Detail, one.Do)
	}
}

// reconcileFlags are those of both commands.
type reconcileFlags struct {
	common

	node string
}

func (f *reconcileFlags) register(cmd *cobra.Command) {
	f.common.register(cmd)
	cmd.Flags().StringVar(&f.node, "node", "", "the node's name in the settings (default: the only one)")
}

// findings reads what is open, and the last report.
func (b Backend) findings(ctx context.Context, node string) (all Findings, err error) {
	rows, err := b.Store.OpenFindings(ctx, maxRows)
	if err != nil {
		return all, fmt.Errorf("read findings: %w", err)
	}
	all = Findings{Findings: []Finding{}, Node: node}
	for _, row := range rows {
		all.Findings = append(all.Findings, finding(row))
	}
	state, err := b.Store.GetReconciliation(ctx, node)
	if err != nil {
		return all, fmt.Errorf("read the last report of %s: %w", node, err)
	}
	if err := json.Unmarshal(state.Report, &all.Report); err != nil {
		return all, fmt.Errorf("read the last report of %s: %w", node, err)
	}

	return all, nil
}

// nodeOf is the node that is named, or the only one.
func (b Backend) nodeOf(ctx context.Context, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	names, err := b.Store.NodeNames(ctx)
	if err != nil {
		return "", fmt.Errorf("read the nodes: %w", err)
	}
	if len(names) != 1 {
		return "", fmt.Errorf("--node: name one of %v", names)
	}

	return names[0], nil
}

func findingsCommand(connect Connect) *cobra.Command {
	f := &reconcileFlags{common: common{connect: connect}}
	cmd := &cobra.Command{
		Use: "findings", Short: "List what reconciliation found and what to do, without a new one; exit code 1 if there is any",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, func(ctx context.Context, b Backend) error {
				node, err := b.nodeOf(ctx, f.node)
				if err != nil {
					return err
				}

				return b.tellFindings(ctx, cmd, f, node)
			})
		},
	}
	f.register(cmd)

	return cmd
}

// tellFindings prints what is open; the error is the exit code.
func (b Backend) tellFindings(ctx context.Context, cmd *cobra.Command, f *reconcileFlags, node string) error {
	all, err := b.findings(ctx, node)
	if err != nil {
		return err
	}
	if err := f.print(cmd, all, all.text); err != nil {
		return err
	}
	if len(all.Findings) > 0 {
		return &ExitError{Code: ExitFindings, Err: fmt.Errorf("findings: %d", len(all.Findings))}
	}

	return nil
}

func reconcileCommand(connect Connect) *cobra.Command {
	f := &reconcileFlags{common: common{connect: connect}}
	var full, wait bool
	cmd := &cobra.Command{
		Use: "reconcile [--full] [--wait]", Args: cobra.NoArgs,
		Short: "Compare the books with themselves and with the node now",
		Long: `Compare the books with themselves and with the node now, besides the hourly time.
--full reads all of the node's lists. --wait waits for the end, prints what is found, and what to do.
Exit code 0: nothing is otherwise than it must be; 1: something is; 2: not finished, or the node could not be read.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, func(ctx context.Context, b Backend) error {
				node, err := b.nodeOf(ctx, f.node)
				if err != nil {
					return err
				}
				report, err := b.Reconciler.Reconcile(ctx, workflows.ReconcileInput{Node: node, Full: full}, wait)
				if err != nil {
					return &ExitError{Code: ExitUndecided, Err: err}
				}
				if !wait {
					return f.print(cmd, map[string]any{"asked": true, "node": node}, func(w io.Writer) {
						fmt.Fprintf(w, "asked for: see `lntpay ops findings` in a while, or workflow reconcile/%s\n", node)
					})
				}
				if report.NodeError != "" {
					err = b.tellFindings(ctx, cmd, f, node)

					return &ExitError{Code: ExitUndecided, Err: errors.Join(errors.New(report.NodeError), err)}
				}

				return b.tellFindings(ctx, cmd, f, node)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&full, "full", false, "read all of the node's lists")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done, and print what it found")

	return cmd
}
