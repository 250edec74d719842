package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

// SendRow is a licence for one call of SendPayment.
type SendRow struct {
	Number    int32     `json:"number"`
	StartedAt time.Time `json:"started_at"`
	// Deadline is when nobody calls any more.
	Deadline time.Time  `json:"deadline"`
	EndedAt  *time.Time `json:"ended_at"`
	// Outcome is succeeded, failed, in_flight, exists, refused or unknown; null
	// while it is under way, or when its worker died.
	Outcome *string `json:"outcome"`
	// PredecessorIndex is the node's payment of this hash before our first send;
	// null if there was none.
	PredecessorIndex *int64 `json:"predecessor_index"`
}

// TransferRow is an entry of the ledger.
type TransferRow struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	Debit      string    `json:"debit_account"`
	Credit     string    `json:"credit_account"`
	AmountMsat int64     `json:"amount_msat"`
	Sequence   int64     `json:"sequence"`
	CreatedAt  time.Time `json:"created_at"`
}

func transferRow(t ledger.Transfer) TransferRow {
	return TransferRow{
		ID: t.ID, Kind: string(t.Kind), Debit: t.Debit.String(), Credit: t.Credit.String(),
		AmountMsat: int64(t.AmountMsat), Sequence: t.Sequence, CreatedAt: t.CreatedAt.UTC(),
	}
}

// Deliveries counts those of the withdrawal's event.
type Deliveries struct {
	All     int64 `json:"all"`
	Pending int64 `json:"pending"`
	Failed  int64 `json:"failed"`
}

// Shown is what `ops show` prints: all that is known of a withdrawal, but not
// the preimage, which is a receipt that only the client may show.
type Shown struct {
	StuckWithdrawal

	WorkflowID  string  `json:"workflow_id"`
	PaymentHash string  `json:"payment_hash"`
	Destination string  `json:"destination"`
	Bolt11      string  `json:"bolt11"`
	FeeMsat     int64   `json:"fee_msat"`
	FailureCode *string `json:"failure_code"`
	// Preimage is held or none.
	Preimage         string        `json:"preimage"`
	PaymentIndex     *int64        `json:"payment_index"`
	ChargeID         *string       `json:"charge_id"`
	InvoiceExpiresAt time.Time     `json:"invoice_expires_at"`
	InvoiceExpired   bool          `json:"invoice_expired"`
	NoHTLCsSince     *time.Time    `json:"no_htlcs_since"`
	AbsentSince      *time.Time    `json:"absent_since"`
	Finding          *string       `json:"finding"`
	SentAt           *time.Time    `json:"sent_at"`
	CompletedAt      *time.Time    `json:"completed_at"`
	SendRows         []SendRow     `json:"send_rows"`
	Resolutions      []Resolution  `json:"resolutions"`
	Transfers        []TransferRow `json:"transfers"`
	Deliveries       Deliveries    `json:"deliveries"`
}

func showCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	cmd := &cobra.Command{
		Use: "show WD", Short: "Show a withdrawal with its sends, commands, transfers and workflow", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := withdrawalArg(args[0]); err != nil {
				return err
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				shown, err := b.show(ctx, args[0])
				if err != nil {
					return err
				}

				return c.print(cmd, shown, shown.text)
			})
		},
	}
	c.register(cmd)

	return cmd
}

// show reads everything at one instant.
func (b Backend) show(ctx context.Context, id string) (shown Shown, err error) {
	err = b.Store.Snapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		look, err := q.LookAtWithdrawal(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%s: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", id, err)
		}
		shown = shownRow(look)
		if look.Frozen {
			if shown.Frozen, err = q.WhyFrozen(ctx, db.WhyFrozenParams{
				WorkspaceID: look.Withdrawal.WorkspaceID, Node: look.Withdrawal.Node,
			}); err != nil {
				return fmt.Errorf("read why payouts are frozen: %w", err)
			}
		}

		return shown.add(ctx, tx, q)
	})

	return shown, err
}

func shownRow(look db.LookAtWithdrawalRow) Shown {
	w := look.Withdrawal
	shown := Shown{
		StuckWithdrawal: stuckWithdrawal(db.StuckWithdrawalsRow{
			Withdrawal: w, AgeS: int64(time.Since(w.CreatedAt).Seconds()), ToResolve: look.ToResolve,
		}),
		WorkflowID: workflows.WithdrawalWorkflowID(w.ID), PaymentHash: hex.EncodeToString(w.PaymentHash),
		Destination: w.Destination, Bolt11: w.Bolt11, FeeMsat: w.FeeMsat, FailureCode: w.FailureCode, Preimage: "none",
		PaymentIndex: w.PaymentIndex, ChargeID: w.ChargeID,
		InvoiceExpiresAt: w.InvoiceExpiresAt.UTC(), InvoiceExpired: look.Expired,
		NoHTLCsSince: utc(w.NoHtlcsSince), AbsentSince: utc(w.AbsentSince), Finding: w.Finding,
		SentAt: utc(w.SentAt), CompletedAt: utc(w.CompletedAt),
		SendRows: []SendRow{}, Resolutions: []Resolution{}, Transfers: []TransferRow{},
	}
	if w.Preimage != nil {
		shown.Preimage = "held"
	}

	return shown
}

// add reads what hangs on the withdrawal.
func (s *Shown) add(ctx context.Context, tx pgx.Tx, q *db.Queries) error {
	sends, err := q.ListSends(ctx, s.ID)
	if err != nil {
		return fmt.Errorf("read sends: %w", err)
	}
	for _, row := range sends {
		s.SendRows = append(s.SendRows, SendRow{
			Number: row.Number, StartedAt: row.StartedAt.UTC(), Deadline: row.Deadline.UTC(), EndedAt: utc(row.EndedAt),
			Outcome: row.Outcome, PredecessorIndex: row.PredecessorIndex,
		})
	}
	resolutions, err := q.ListResolutions(ctx, s.ID)
	if err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	for _, row := range resolutions {
		s.Resolutions = append(s.Resolutions, resolution(row))
	}
	transfers, err := ledger.Transfers(ctx, tx, ledger.TransferFilter{WorkspaceID: s.WorkspaceID, Ref: s.ID, Limit: maxRows})
	if err != nil {
		return err
	}
	for _, row := range transfers {
		s.Transfers = append(s.Transfers, transferRow(row))
	}
	deliveries, err := q.CountWithdrawalDeliveries(ctx, s.ID)
	if err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	s.Deliveries = Deliveries{All: deliveries.Deliveries, Pending: deliveries.Pending, Failed: deliveries.Failed}

	return nil
}

func (s *Shown) text(w io.Writer) {
	line := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	line("withdrawal", s.ID)
	line("workflow", s.WorkflowID)
	line("workspace", s.WorkspaceID)
	line("status", s.status())
	line("kind", s.Kind)
	line("node", s.Node)
	line("amount", fmt.Sprintf("%d msat, fee limit %d, fee %d", s.AmountMsat, s.MaxFeeMsat, s.FeeMsat))
	line("payment hash", s.PaymentHash)
	line("preimage", s.Preimage)
	line("destination", s.Destination)
	line("invoice expires", at(s.InvoiceExpiresAt)+map[bool]string{true: " (has expired)"}[s.InvoiceExpired])
	line("created", at(s.CreatedAt))
	line("first sent", atOr(s.SentAt, "never"))
	line("node last read", atOr(s.CheckedAt, "never"))
	line("node's record", s.record())
	line("last finding", or(s.Finding, "-"))
	line("next check", atOr(s.NextCheckAt, "-"))
	line("completed", atOr(s.CompletedAt, "-"))
	line("deliveries", fmt.Sprintf("%d, pending %d, failed %d", s.Deliveries.All, s.Deliveries.Pending, s.Deliveries.Failed))
	for _, send := range s.SendRows {
		line(fmt.Sprintf("send %d", send.Number), fmt.Sprintf("%s, deadline %s, ended %s: %s",
			at(send.StartedAt), at(send.Deadline), atOr(send.EndedAt, "-"), or(send.Outcome, "not known")))
	}
	for _, r := range s.Resolutions {
		line(fmt.Sprintf("command %d", r.ID), fmt.Sprintf("%s %s by %s (%s): %s, %s",
			at(r.CreatedAt), r.Action, r.By, r.Reason, or(r.Outcome, "not judged yet"), or(r.Detail, "-")))
	}
	for _, t := range s.Transfers {
		line(t.Kind, fmt.Sprintf("%s %d msat, %s to %s, %s", at(t.CreatedAt), t.AmountMsat, t.Debit, t.Credit, t.ID))
	}
}

func (s *Shown) status() string {
	status := s.Status
	if s.ReviewReason != nil {
		status += ", under review: " + *s.ReviewReason
	}
	if s.FailureCode != nil {
		status += ": " + *s.FailureCode
	}
	if s.ToResolve {
		status += ", a command is not judged yet"
	}
	if s.Frozen != "" && s.CompletedAt == nil {
		status += ", payouts are stopped: " + s.Frozen
	}

	return status
}

// record is what the node last said of our payment.
func (s *Shown) record() string {
	if s.PaymentIndex == nil {
		return "none seen"
	}
	record := fmt.Sprintf("payment index %d, %d HTLC attempts, HTLCs expire at height %s",
		*s.PaymentIndex, s.HTLCAttempts, height(s.HTLCExpiryHeight))
	if s.NoHTLCsSince != nil {
		record += ", without HTLCs since " + at(*s.NoHTLCsSince)
	}
	if s.AbsentSince != nil {
		record += ", on no channel since " + at(*s.AbsentSince)
	}

	return record
}
