package ops

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// findTimeout bounds the question to Temporal, which is only a help.
const findTimeout = 5 * time.Second

// ChargeFinder asks for charges by their payment hashes where the database may
// not know them: the Starter, or a fake. The result is by hash, in hex.
type ChargeFinder interface {
	FindCharges(ctx context.Context, hashes [][]byte) (map[string]workflows.FoundCharge, error)
}

// SuspenseRow is money that a node received and nobody was credited for.
type SuspenseRow struct {
	Node        string    `json:"node"`
	PaymentHash string    `json:"payment_hash"`
	AmountMsat  int64     `json:"amount_msat"`
	SettledAt   time.Time `json:"settled_at"`
	RecordedAt  time.Time `json:"recorded_at"`
	// ChargeID and WorkspaceID are null where no charge of the database has the
	// hash.
	ChargeID    *string `json:"charge_id"`
	WorkspaceID *string `json:"workspace_id"`
	// RememberedChargeID and RememberedWorkspaceID are what Temporal says of a
	// charge that the database does not know; null where it does not either.
	RememberedChargeID    *string `json:"remembered_charge_id"`
	RememberedWorkspaceID *string `json:"remembered_workspace_id"`
}

func suspenseCommand(connect Connect) *cobra.Command {
	cmd := &cobra.Command{Use: "suspense", Short: "Money that came for no charge, or for one that was paid: list, assign, keep"}
	cmd.AddCommand(suspenseListCommand(connect), suspenseAssignCommand(connect), suspenseKeepCommand(connect))

	return cmd
}

func suspenseListCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	cmd := &cobra.Command{
		Use: "list", Args: cobra.NoArgs, Short: "List receipts in suspense, the oldest first, and what Temporal remembers of their charges",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd, func(ctx context.Context, b Backend) error {
				rows, err := b.Store.ListSuspense(ctx, maxRows)
				if err != nil {
					return fmt.Errorf("read receipts in suspense: %w", err)
				}
				suspense, findErr := b.remembered(ctx, rows)

				return c.print(cmd, map[string]any{"receipts": suspense, "temporal_answered": findErr == nil}, func(w io.Writer) {
					suspenseTable(w, suspense)
					if findErr != nil {
						fmt.Fprintf(w, "Temporal was not asked for forgotten charges: %s\n", findErr)
					}
				})
			})
		},
	}
	c.register(cmd)

	return cmd
}

// remembered adds what Temporal knows of charges that the database does not.
// An error leaves that out and nothing else.
func (b Backend) remembered(ctx context.Context, rows []db.ListSuspenseRow) ([]SuspenseRow, error) {
	suspense := []SuspenseRow{}
	var unknown [][]byte
	for _, row := range rows {
		suspense = append(suspense, SuspenseRow{
			Node: row.Node, PaymentHash: hex.EncodeToString(row.PaymentHash), AmountMsat: row.AmtPaidMsat,
			SettledAt: row.SettledAt.UTC(), RecordedAt: row.RecordedAt.UTC(), ChargeID: row.ChargeID, WorkspaceID: row.WorkspaceID,
		})
		if row.ChargeID == nil {
			unknown = append(unknown, row.PaymentHash)
		}
	}
	if len(unknown) == 0 {
		return suspense, nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	found, err := b.Finder.FindCharges(ctx, unknown)
	for i := range suspense {
		if charge, ok := found[suspense[i].PaymentHash]; ok {
			suspense[i].RememberedChargeID, suspense[i].RememberedWorkspaceID = &charge.ID, &charge.WorkspaceID
		}
	}

	return suspense, err
}

func suspenseTable(w io.Writer, suspense []SuspenseRow) {
	if len(suspense) == 0 {
		fmt.Fprintln(w, "nothing is in suspense")

		return
	}
	fmt.Fprintln(w, "NODE\tMSAT\tSETTLED\tCHARGE\tWORKSPACE\tPAYMENT HASH")
	for _, one := range suspense {
		charge, workspace := or(one.ChargeID, "-"), or(one.WorkspaceID, "-")
		if one.RememberedChargeID != nil {
			charge = *one.RememberedChargeID + " (Temporal)"
			workspace = or(one.RememberedWorkspaceID, "-") + " (Temporal)"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", one.Node, one.AmountMsat, at(one.SettledAt), charge, workspace, one.PaymentHash)
	}
	if len(suspense) == maxRows {
		fmt.Fprintf(w, "only the oldest %d are listed; all of them: lntpay ops export receipts\n", maxRows)
	}
}

// SuspenseDone is what `ops suspense assign` and `keep` print.
type SuspenseDone struct {
	Node        string `json:"node"`
	PaymentHash string `json:"payment_hash"`
	AmountMsat  int64  `json:"amount_msat"`
	// State is assigned or owner.
	State       string  `json:"state"`
	WorkspaceID *string `json:"workspace_id"`
	// Transfer is what was booked; null if nothing was.
	Transfer *TransferRow `json:"transfer"`
}

// suspenseRef are the flags that name a receipt.
type suspenseRef struct {
	signed

	node string
}

func (s *suspenseRef) register(cmd *cobra.Command) {
	s.signed.register(cmd)
	cmd.Flags().StringVar(&s.node, "node", "", "the node, where several have a receipt of the hash")
}

func (s *suspenseRef) check(hash string) (ref store.ReceiptRef, by store.Operator, err error) {
	decoded, err := hex.DecodeString(hash)
	if err != nil || len(decoded) != len(ref.PaymentHash) {
		return ref, by, fmt.Errorf("HASH: %q is no payment hash of 64 hex digits", hash)
	}
	ref = store.ReceiptRef{Node: s.node, PaymentHash: [32]byte(decoded)}
	by, err = s.operator()

	return ref, by, err
}

func suspenseAssignCommand(connect Connect) *cobra.Command {
	s := &suspenseRef{signed: signed{common: common{connect: connect}}}
	var workspace string
	cmd := &cobra.Command{
		Use: "assign HASH --workspace WS --by NAME --reason TEXT", Args: cobra.ExactArgs(1),
		Short: "Credit a receipt in suspense to a workspace, once, the whole amount",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !payments.ValidID(payments.PrefixWorkspace, workspace) {
				return fmt.Errorf("--workspace: %q is no id of a workspace (ws_…)", workspace)
			}
			ref, by, err := s.check(args[0])
			if err != nil {
				return err
			}

			return s.run(cmd, func(ctx context.Context, b Backend) error {
				receipt, booked, err := b.Store.AssignSuspense(ctx, ref, workspace, by)
				if err != nil {
					return err
				}
				transfer := transferRow(booked)
				done := SuspenseDone{
					Node: receipt.Node, PaymentHash: hex.EncodeToString(receipt.PaymentHash), AmountMsat: receipt.AmtPaidMsat,
					State: "assigned", WorkspaceID: &workspace, Transfer: &transfer,
				}

				return s.print(cmd, done, func(w io.Writer) {
					fmt.Fprintf(w, "assigned: %d msat to %s, %s\n", done.AmountMsat, workspace, transfer.ID)
				})
			})
		},
	}
	s.register(cmd)
	cmd.Flags().StringVar(&workspace, "workspace", "", "whose balance it is added to (ws_…)")

	return cmd
}

func suspenseKeepCommand(connect Connect) *cobra.Command {
	s := &suspenseRef{signed: signed{common: common{connect: connect}}}
	cmd := &cobra.Command{
		Use: "keep HASH --by NAME --reason TEXT", Args: cobra.ExactArgs(1),
		Short: "Say that a receipt in suspense is the node owner's own money; it is in nobody's books",
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, by, err := s.check(args[0])
			if err != nil {
				return err
			}

			return s.run(cmd, func(ctx context.Context, b Backend) error {
				receipt, err := b.Store.KeepSuspense(ctx, ref, by)
				if err != nil {
					return err
				}
				done := SuspenseDone{
					Node: receipt.Node, PaymentHash: hex.EncodeToString(receipt.PaymentHash), AmountMsat: receipt.AmtPaidMsat,
					State: "owner",
				}

				return s.print(cmd, done, func(w io.Writer) {
					fmt.Fprintf(w, "kept as the node owner's: %d msat\n", done.AmountMsat)
				})
			})
		},
	}
	s.register(cmd)

	return cmd
}
