package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

// resolveWait is how long a command waits for a worker's judgement, and
// nudgeAgain how often it nudges meanwhile: a nudge may get lost, and the sweeper
// does not come for what is under review.
const (
	resolveWait    = 60 * time.Second
	maxResolveWait = 2 * time.Minute
	nudgeAgain     = 10 * time.Second
)

// Resolution is a command for a withdrawal and what came of it.
type Resolution struct {
	ID         int64  `json:"id"`
	Withdrawal string `json:"withdrawal"`
	Action     string `json:"action"`
	By         string `json:"by"`
	Reason     string `json:"reason"`
	// Outcome is applied or refused; null while no worker has judged.
	Outcome   *string    `json:"outcome"`
	Detail    *string    `json:"detail"`
	CreatedAt time.Time  `json:"created_at"`
	JudgedAt  *time.Time `json:"judged_at"`
}

func resolution(row db.WithdrawalResolution) Resolution {
	return Resolution{
		ID: row.ID, Withdrawal: row.WithdrawalID, Action: row.Action, By: row.Actor, Reason: row.Reason,
		Outcome: row.Outcome, Detail: row.Detail, CreatedAt: row.CreatedAt.UTC(), JudgedAt: utc(row.JudgedAt),
	}
}

func withdrawalArg(id string) error {
	if !payments.ValidID(payments.PrefixWithdrawal, id) {
		return fmt.Errorf("%q is no id of a withdrawal (wd_…)", id)
	}

	return nil
}

func resolveCommand(connect Connect) *cobra.Command {
	s := &signed{common: common{connect: connect}}
	var post, void, retry bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "resolve WD (--post | --void | --retry) --by NAME --reason TEXT", Args: cobra.ExactArgs(1),
		Short: "Ask a worker to end a withdrawal as the node says, or to go on with it",
		Long: `Ask a worker to end a withdrawal, or to go on with it. The worker reads the node once more and
refuses what the node does not allow: --post only a payment that succeeded, --void only one
that has failed, can no longer be made, or is in flight in name only: no channel has its HTLC,
read twice, 15 s apart, by an lnd that was started after it was gone. Under review it also gives
up a payment of another amount, which is booked as your loss. --retry ends the review and goes
on from the row.

Exit code 0: applied. 1: refused, and nothing has changed. 2: written, and not judged yet.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			action, err := one(map[string]bool{
				store.ResolvePost: post, store.ResolveVoid: void, store.ResolveRetry: retry,
			}, "--post, --void and --retry")
			if err != nil {
				return err
			}
			if wait < 0 || wait > maxResolveWait {
				return fmt.Errorf("--wait: %s is not between 0 and %s", wait, maxResolveWait)
			}
			by, err := s.operator()
			if err != nil {
				return err
			}
			if err := withdrawalArg(args[0]); err != nil {
				return err
			}

			return s.run(cmd, func(ctx context.Context, b Backend) error { return b.resolve(ctx, cmd, s, wait, args[0], action, by) })
		},
	}
	s.register(cmd)
	cmd.Flags().BoolVar(&post, "post", false, "book it as paid, if the node says that it succeeded")
	cmd.Flags().BoolVar(&void, "void", false,
		"give the funds back, if the payment has failed, can no longer be made, or no channel has its HTLC")
	cmd.Flags().DurationVar(&wait, "wait", resolveWait, "how long to wait for the worker's judgement, 2m at most")
	cmd.Flags().BoolVar(&retry, "retry", false, "end the review and go on from the row")

	return cmd
}

// resolve writes the command, wakes the run and waits for what comes of it.
func (b Backend) resolve(ctx context.Context, cmd *cobra.Command, s *signed, wait time.Duration, id, action string,
	by store.Operator,
) error {
	command, err := b.Store.AskToResolve(ctx, id, action, by)
	if err != nil {
		return err
	}
	var nudgeErr error
	var nudged time.Time
	row := db.LookAtResolutionRow{WithdrawalResolution: command}
	_, err = until(ctx, wait, func(ctx context.Context) (bool, error) {
		if row, err = b.Store.JudgedResolution(ctx, command.ID); err != nil || row.WithdrawalResolution.Outcome != nil {
			return err == nil, err
		}
		if time.Since(nudged) >= nudgeAgain {
			nudgeErr = b.nudge(ctx, ref(id, row.WorkspaceID, row.AmountMsat))
			nudged = time.Now()
		}

		return false, nil
	})
	if err != nil {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("command %d is written, its outcome is not known: %w", command.ID, err)}
	}
	judged := resolution(row.WithdrawalResolution)
	if err := s.print(cmd, judged, judged.text); err != nil {
		return err
	}

	return judged.exit(nudgeErr)
}

func (r Resolution) text(w io.Writer) {
	fmt.Fprintf(w, "%s %s: %s", r.Withdrawal, r.Action, or(r.Outcome, "not judged yet"))
	if r.Detail != nil {
		fmt.Fprintf(w, ": %s", *r.Detail)
	}
	fmt.Fprintln(w)
}

// exit is the process's end for what came of the command.
func (r Resolution) exit(nudgeErr error) error {
	switch {
	case r.Outcome == nil && nudgeErr != nil:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf(
			"command %d is written, but no worker hears of it: once Temporal and a worker are back, `lntpay ops nudge %s`: %w",
			r.ID, r.Withdrawal, nudgeErr)}
	case r.Outcome == nil:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf(
			"command %d is written and not judged yet: look by `lntpay ops show %s`", r.ID, r.Withdrawal)}
	case *r.Outcome == "refused":
		return &ExitError{Code: ExitRefused, Err: errors.New("refused, nothing has changed")}
	}

	return nil
}

// nudgeCommand wakes a run. It changes nothing that the sweeper would not, so
// it needs no name.
func nudgeCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	cmd := &cobra.Command{
		Use: "nudge WD", Args: cobra.ExactArgs(1),
		Short: "Have a withdrawal's run look at its row and the node now; harmless, as often as you like",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := withdrawalArg(args[0]); err != nil {
				return err
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				row, err := b.Store.GetWithdrawal(ctx, args[0])
				if errors.Is(err, pgx.ErrNoRows) {
					return fmt.Errorf("%s: %w", args[0], store.ErrNotFound)
				}
				if err != nil {
					return fmt.Errorf("read %s: %w", args[0], err)
				}
				if err := b.nudge(ctx, ref(row.ID, row.WorkspaceID, row.AmountMsat)); err != nil {
					return fmt.Errorf("nobody heard it: %w", err)
				}

				return c.print(cmd, map[string]any{"withdrawal": row.ID, "nudged": true}, func(w io.Writer) {
					fmt.Fprintf(w, "nudged: %s\n", row.ID)
				})
			})
		},
	}
	c.register(cmd)

	return cmd
}
