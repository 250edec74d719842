package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// Verified is what `ops verify` prints.
type Verified struct {
	OK         bool  `json:"ok"`
	Workspaces int64 `json:"workspaces"`
	Transfers  int64 `json:"transfers"`
	Blocks     int64 `json:"blocks"`
	Heads      int64 `json:"heads"`
	Actions    int64 `json:"actions"`
	// UnsealedTransfers and UnsealedActions came after the last head, within
	// about a minute: their past cannot be proved yet.
	UnsealedTransfers int64 `json:"unsealed_transfers"`
	UnsealedActions   int64 `json:"unsealed_actions"`
	// Head is the last head, to be kept elsewhere; null if there is none.
	Head *Head `json:"head"`
	// FoundHead is the number of the head that --head asked for; null if none
	// was asked for or it is not there.
	FoundHead *int64              `json:"found_head"`
	Breaks    []ledger.ChainBreak `json:"breaks"`
	// MoreBreaks says that there are more than are listed.
	MoreBreaks bool `json:"more_breaks"`
}

// Head is one link of the environment's chain.
type Head struct {
	Number int64  `json:"number"`
	Hash   string `json:"hash"`
}

func verified(report ledger.ChainReport) Verified {
	v := Verified{
		OK: len(report.Breaks) == 0, Workspaces: report.Workspaces, Transfers: report.Transfers, Blocks: report.Blocks,
		Heads: report.Heads, Actions: report.Actions, UnsealedTransfers: report.UnsealedTransfers,
		UnsealedActions: report.UnsealedActions, Breaks: []ledger.ChainBreak{}, MoreBreaks: report.More,
	}
	v.Breaks = append(v.Breaks, report.Breaks...)
	if report.Head > 0 {
		v.Head = &Head{Number: report.Head, Hash: hex.EncodeToString(report.Hash)}
	}
	if report.FoundHead > 0 {
		v.FoundHead = &report.FoundHead
	}

	return v
}

func (v Verified) text(w io.Writer) {
	fmt.Fprintf(w, "workspaces\t%d\n", v.Workspaces)
	fmt.Fprintf(w, "transfers\t%d, not sealed yet %d\n", v.Transfers, v.UnsealedTransfers)
	fmt.Fprintf(w, "blocks\t%d\n", v.Blocks)
	fmt.Fprintf(w, "heads\t%d\n", v.Heads)
	fmt.Fprintf(w, "audit trail\t%d, not sealed yet %d\n", v.Actions, v.UnsealedActions)
	if v.Head != nil {
		fmt.Fprintf(w, "head\t%d %s\n", v.Head.Number, v.Head.Hash)
	}
	if v.FoundHead != nil {
		fmt.Fprintf(w, "the head asked for\tis head %d\n", *v.FoundHead)
	}
	for _, one := range v.Breaks {
		where := one.WorkspaceID
		if one.Sequence > 0 {
			where = fmt.Sprintf("%s transfer %d", where, one.Sequence)
		}
		fmt.Fprintf(w, "BROKEN\t%s: %s\n", or(&where, "chain"), one.What)
	}
	if v.MoreBreaks {
		fmt.Fprintln(w, "BROKEN\tand more, which are not listed")
	}
	if v.OK {
		fmt.Fprintln(w, "everything fits")
	}
}

func verifyCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect, limit: longTimeout}
	var workspace, head string
	cmd := &cobra.Command{
		Use: "verify [--workspace WS] [--head HASH]", Args: cobra.NoArgs,
		Short: "Recompute the hash chain over transfers and audit trail, and the balances",
		Long: `Recompute the hash chain over transfers and audit trail, and the balances from the transfers.
Reads only. With the hash of a head that you kept elsewhere (--head; it is in the worker's log
as "ledger sealed", and printed here) it also tells whether the past was rewritten and sealed anew.

Exit code 0: everything fits. 1: something is broken, or could not be read.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := ledger.ChainCheck{WorkspaceID: workspace}
			if workspace != "" && !payments.ValidID(payments.PrefixWorkspace, workspace) {
				return fmt.Errorf("--workspace: %q is no id of a workspace (ws_…)", workspace)
			}
			if cmd.Flags().Changed("head") {
				hash, err := hex.DecodeString(head)
				if err != nil || len(hash) != 32 {
					return fmt.Errorf("--head: %q is no hash of 64 hex digits", head)
				}
				in.Head = hash
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				var report ledger.ChainReport
				if err := b.Store.Snapshot(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
					if workspace != "" {
						if _, err := q.GetWorkspace(ctx, workspace); err != nil {
							return fmt.Errorf("read workspace %s: %w", workspace, err)
						}
					}
					report, err = ledger.CheckChain(ctx, tx, in)

					return err
				}); err != nil {
					return err
				}
				found := verified(report)
				if err := c.print(cmd, found, found.text); err != nil {
					return err
				}
				if !found.OK {
					return errors.New("the books are not what was sealed: docs/runbooks/chain_broken.md")
				}

				return nil
			})
		},
	}
	c.register(cmd)
	cmd.Flags().StringVar(&workspace, "workspace", "", "only this workspace's transfers (ws_…); the heads are checked all the same")
	cmd.Flags().StringVar(&head, "head", "", "the hash of a head that you kept: it must be there")

	return cmd
}
