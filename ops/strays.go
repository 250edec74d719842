package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

// Stray is a payment of a node that no live withdrawal explains.
type Stray struct {
	Node        string `json:"node"`
	Index       int64  `json:"payment_index"`
	CreatedNS   int64  `json:"created_ns"`
	PaymentHash string `json:"payment_hash"`
	// WithdrawalID is the voided withdrawal that it belongs to; null if none,
	// which freezes the node's payouts while it is open.
	WithdrawalID *string   `json:"withdrawal_id"`
	Status       string    `json:"status"`
	AmountMsat   int64     `json:"amount_msat"`
	FeeMsat      int64     `json:"fee_msat"`
	State        string    `json:"state"`
	SeenAt       time.Time `json:"seen_at"`
}

func stray(row db.StrayPayment) Stray {
	return Stray{
		Node: row.Node, Index: row.PaymentIndex, CreatedNS: row.CreatedNs, PaymentHash: hex.EncodeToString(row.PaymentHash),
		WithdrawalID: row.WithdrawalID, Status: row.Status, AmountMsat: row.AmountMsat, FeeMsat: row.FeeMsat,
		State: row.State, SeenAt: row.SeenAt.UTC(),
	}
}

func (b Backend) openStrays(ctx context.Context) ([]Stray, error) {
	rows, err := b.Store.AllOpenStrays(ctx, maxRows)
	if err != nil {
		return nil, fmt.Errorf("read stray payments: %w", err)
	}
	strays := []Stray{}
	for _, row := range rows {
		strays = append(strays, stray(row))
	}

	return strays, nil
}

func strayTable(w io.Writer, strays []Stray) {
	fmt.Fprintln(w, "NODE\tINDEX\tCREATED\tMSAT\tFEE MSAT\tSTATUS\tOF\tPAYMENT HASH")
	for _, one := range strays {
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%s\t%s\t%s\n", one.Node, one.Index, at(time.Unix(0, one.CreatedNS)),
			one.AmountMsat, one.FeeMsat, one.Status, or(one.WithdrawalID, "nobody: freezes the node"), one.PaymentHash)
	}
}

func straysCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	cmd := &cobra.Command{
		Use: "strays", Args: cobra.NoArgs,
		Short: "List the node's payments that no live withdrawal explains and nobody has dealt with",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd, func(ctx context.Context, b Backend) error {
				strays, err := b.openStrays(ctx)
				if err != nil {
					return err
				}

				return c.print(cmd, map[string]any{"strays": strays}, func(w io.Writer) {
					if len(strays) == 0 {
						fmt.Fprintln(w, "no stray payments are open")

						return
					}
					strayTable(w, strays)
				})
			})
		},
	}
	c.register(cmd)

	return cmd
}

// strayChoice is what is to be done with a stray payment.
type strayChoice struct {
	signed

	ref         store.StrayRef
	owner, book bool
	workspace   string
}

func strayCommand(connect Connect) *cobra.Command {
	s := &strayChoice{signed: signed{common: common{connect: connect}}}
	cmd := &cobra.Command{
		Use: "stray NODE INDEX (--owner | --book --workspace WS) --by NAME --reason TEXT", Args: cobra.ExactArgs(2),
		Short: "Say what a payment is that no withdrawal explains",
		Long: `Say what a payment is that no withdrawal explains; the node's payouts go on once none is left.
--owner: the owner of the node made it; it is in nobody's books. Allowed while it is in flight.
--book: it paid for something of a workspace, and is booked as the operator's loss in that
workspace's books; its balance stays as it is. Only a payment that succeeded.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			by, err := s.check(args)
			if err != nil {
				return err
			}

			return s.run(cmd, func(ctx context.Context, b Backend) error { return b.settleStray(ctx, cmd, s, by) })
		},
	}
	s.register(cmd)
	cmd.Flags().BoolVar(&s.owner, "owner", false, "it is the node owner's own")
	cmd.Flags().BoolVar(&s.book, "book", false, "book it as the operator's loss")
	cmd.Flags().StringVar(&s.workspace, "workspace", "", "with --book: into this workspace's books (ws_…)")
	cmd.Flags().Int64Var(&s.ref.CreatedNS, "created-ns", 0, "tells payments of one index apart (created_ns of `ops strays --json`)")

	return cmd
}

func (s *strayChoice) check(args []string) (by store.Operator, err error) {
	if _, err := one(map[string]bool{"owner": s.owner, "book": s.book}, "--owner and --book"); err != nil {
		return by, err
	}
	switch {
	case s.book && !payments.ValidID(payments.PrefixWorkspace, s.workspace):
		return by, errors.New("--workspace: name the workspace (ws_…) into whose books it goes")
	case s.owner && s.workspace != "":
		return by, errors.New("--workspace: what is the owner's own is in nobody's books")
	}
	s.ref.Node = args[0]
	if s.ref.Index, err = strconv.ParseInt(args[1], 10, 64); err != nil {
		return by, fmt.Errorf("INDEX: %q is no payment index", args[1])
	}

	return s.operator()
}

// StrayDone is what `ops stray` prints.
type StrayDone struct {
	Stray
	// Transfer is what was booked; null if nothing was.
	Transfer *TransferRow `json:"transfer"`
	// Unexplained counts the payments that still freeze the node.
	Unexplained int `json:"unexplained_left"`
	Nudged      int `json:"nudged"`
}

func (b Backend) settleStray(ctx context.Context, cmd *cobra.Command, s *strayChoice, by store.Operator) error {
	done := StrayDone{}
	if s.owner {
		row, err := b.Store.LeaveStrayToOwner(ctx, s.ref, by)
		if err != nil {
			return err
		}
		done.Stray, done.State = stray(row), "owner"
	} else {
		row, booked, err := b.Store.BookStray(ctx, s.ref, s.workspace, by)
		if err != nil {
			return err
		}
		transfer := transferRow(booked)
		done.Stray, done.State, done.Transfer = stray(row), "booked", &transfer
	}
	left, err := b.openStrays(ctx)
	if err != nil {
		return err
	}
	for _, one := range left {
		if one.Node == s.ref.Node && one.WithdrawalID == nil {
			done.Unexplained++
		}
	}
	if done.Unexplained == 0 {
		open, err := b.Store.OpenWithdrawals(ctx, db.OpenWithdrawalsParams{Scope: store.FreezeNode(s.ref.Node), MaxRows: maxRows})
		if err != nil {
			return fmt.Errorf("done, but what is open is not known: %w", err)
		}
		done.Nudged = b.nudgeAll(ctx, open)
	}

	return s.print(cmd, done, done.text)
}

func (d StrayDone) text(w io.Writer) {
	fmt.Fprintf(w, "%s %d: %s\n", d.Node, d.Index, d.State)
	if d.Transfer != nil {
		fmt.Fprintf(w, "booked: %d msat, %s to %s, %s\n", d.Transfer.AmountMsat, d.Transfer.Debit, d.Transfer.Credit, d.Transfer.ID)
	}
	if d.Unexplained > 0 {
		fmt.Fprintf(w, "%d more unexplained payments freeze the payouts of %s\n", d.Unexplained, d.Node)

		return
	}
	fmt.Fprintf(w, "no unexplained payment freezes %s any more; open withdrawals woken: %d\n", d.Node, d.Nudged)
}
