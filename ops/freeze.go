package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// thawWait is how long a thaw waits for the sweeper, which comes every
	// minute.
	thawWait = 90 * time.Second
	// nudgesTimeout bounds the nudges after a thaw, and nudgesAtOnce how many
	// are under way.
	nudgesTimeout = 30 * time.Second
	nudgesAtOnce  = 16
)

// scopeFlags say which payouts a freeze or a thaw is about.
type scopeFlags struct {
	workspace, node string
	all             bool
}

func (f *scopeFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.workspace, "workspace", "", "payouts of this workspace (ws_…)")
	cmd.Flags().StringVar(&f.node, "node", "", "payouts from this node, by its name in the settings")
	cmd.Flags().BoolVar(&f.all, "all", false, "all payouts of the environment")
}

func (f *scopeFlags) scope() (string, error) {
	chosen, err := one(map[string]bool{
		f.workspace: f.workspace != "", store.FreezeNode(f.node): f.node != "", store.FreezeAll: f.all,
	}, "--workspace, --node and --all")
	if err == nil && f.workspace != "" && !payments.ValidID(payments.PrefixWorkspace, f.workspace) {
		err = fmt.Errorf("--workspace: %q is no id of a workspace (ws_…)", f.workspace)
	}

	return chosen, err
}

// Freeze is what `ops freeze` prints.
type Freeze struct {
	Scope         string `json:"scope"`
	Frozen        bool   `json:"frozen"`
	FrozenAlready bool   `json:"frozen_already"`
}

func freezeCommand(connect Connect) *cobra.Command {
	s := &signed{common: common{connect: connect}}
	scopes := &scopeFlags{}
	cmd := &cobra.Command{
		Use: "freeze (--workspace WS | --node NODE | --all) --by NAME --reason TEXT", Args: cobra.NoArgs,
		Short: "Stop payouts: nothing is held or sent any more; what is under way is followed to its end",
		RunE: func(cmd *cobra.Command, _ []string) error {
			scope, err := scopes.scope()
			if err != nil {
				return err
			}
			by, err := s.operator()
			if err != nil {
				return err
			}

			return s.run(cmd, func(ctx context.Context, b Backend) error {
				before, err := b.Store.FreezePayouts(ctx, scope, by)
				if err != nil {
					return err
				}
				b.deliverPayouts(ctx, scope)

				return s.print(cmd, Freeze{Scope: scope, Frozen: true, FrozenAlready: before != nil}, func(w io.Writer) {
					if before != nil {
						fmt.Fprintf(w, "frozen already: %s, by %s since %s: %s\n", scope, before.Actor, at(before.ChangedAt), before.Reason)

						return
					}
					fmt.Fprintf(w, "frozen: %s\nNo send is licensed any more. One that was may reach the node for 20 s.\n", scope)
				})
			})
		},
	}
	s.register(cmd)
	scopes.register(cmd)

	return cmd
}

// Thawed is what `ops thaw` prints.
type Thawed struct {
	Scope        string `json:"scope"`
	WasFrozen    bool   `json:"was_frozen"`
	WasRegressed bool   `json:"was_regressed"`
	// NodeThawed says that the regression has ended; false while the sweeper is
	// still to come.
	NodeThawed bool `json:"node_thawed"`
	// Nudged and NotNudged count the open withdrawals that were woken, and those
	// that were not: they come back by themselves.
	Nudged    int `json:"nudged"`
	NotNudged int `json:"not_nudged"`
	// Still are the freezes that hold on, of whatever scope.
	Still []FreezeRow `json:"still_frozen"`
}

func (t Thawed) text(w io.Writer) {
	switch {
	case t.WasFrozen:
		fmt.Fprintf(w, "thawed: %s\n", t.Scope)
	case t.WasRegressed:
		fmt.Fprintf(w, "%s was not frozen by hand\n", t.Scope)
	default:
		fmt.Fprintf(w, "%s was not frozen\n", t.Scope)
	}
	if t.WasRegressed && t.NodeThawed {
		fmt.Fprintln(w, "the node's present state counts from here")
	}
	if t.WasRegressed && !t.NodeThawed {
		fmt.Fprintln(w, "the node is still back in time: its sweeper is to end that within about a minute")
	}
	fmt.Fprintf(w, "open withdrawals woken: %d\n", t.Nudged)
	if t.NotNudged > 0 {
		fmt.Fprintf(w, "not woken: %d; Temporal or its workers are away; they go on by themselves once those are back\n", t.NotNudged)
	}
	for _, freeze := range t.Still {
		fmt.Fprintf(w, "still frozen: %s, by %s since %s: %s\n", freeze.Scope, freeze.By, at(freeze.Since), freeze.Reason)
	}
}

func thawCommand(connect Connect) *cobra.Command {
	s := &signed{common: common{connect: connect}}
	scopes := &scopeFlags{}
	var noWait bool
	cmd := &cobra.Command{
		Use: "thaw (--workspace WS | --node NODE | --all) --by NAME --reason TEXT", Args: cobra.NoArgs,
		Short: "End a freeze; of a node also that it went back in time: what it has now counts from here",
		RunE: func(cmd *cobra.Command, _ []string) error {
			scope, err := scopes.scope()
			if err != nil {
				return err
			}
			by, err := s.operator()
			if err != nil {
				return err
			}

			return s.run(cmd, func(ctx context.Context, b Backend) error {
				thawed, err := b.thaw(ctx, scope, scopes.node, by, noWait)
				if err != nil {
					return err
				}
				if err := s.print(cmd, thawed, thawed.text); err != nil {
					return err
				}
				if thawed.WasRegressed && !thawed.NodeThawed && !noWait {
					return &ExitError{Code: ExitUndecided, Err: errors.New("the node is not thawed yet: does a worker serve it?")}
				}

				return nil
			})
		},
	}
	s.register(cmd)
	scopes.register(cmd)
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the node's sweeper has ended a regression")

	return cmd
}

// thaw ends the freeze, waits for the node and wakes what was held up.
func (b Backend) thaw(ctx context.Context, scope, node string, by store.Operator, noWait bool) (Thawed, error) {
	ended, err := b.Store.ThawPayouts(ctx, scope, by)
	if err != nil {
		return Thawed{}, err
	}
	b.deliverPayouts(ctx, scope)
	thawed := Thawed{Scope: scope, WasFrozen: ended.WasFrozen, WasRegressed: ended.Regressed}
	if ended.Regressed && !noWait {
		thawed.NodeThawed, err = until(ctx, thawWait, func(ctx context.Context) (bool, error) {
			row, err := b.Store.GetNode(ctx, node)

			return err == nil && row.RegressedAt == nil, err
		})
		if err != nil {
			return thawed, fmt.Errorf("the thaw is asked for; look again by `ops stuck`: %w", err)
		}
	}
	open, err := b.Store.OpenWithdrawals(ctx, db.OpenWithdrawalsParams{Scope: scope, MaxRows: maxRows})
	if err != nil {
		return thawed, fmt.Errorf("thawed, but what is open is not known: %w", err)
	}
	thawed.Nudged = b.nudgeAll(ctx, open)
	thawed.NotNudged = len(open) - thawed.Nudged
	thawed.Still, err = b.freezes(ctx)

	return thawed, err
}

// deliverPayouts starts the deliveries of a freeze or a thaw. What cannot be
// started the sweeper starts, a minute or two later.
func (b Backend) deliverPayouts(ctx context.Context, scope string) {
	if b.Deliverer == nil {
		return
	}
	ids, err := b.Store.PayoutDeliveries(ctx, scope)
	if err != nil {
		return
	}
	for _, id := range ids {
		ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
		err := b.Deliverer.Deliver(ctx, id)
		cancel()
		if err != nil {
			return
		}
	}
}

// nudgeAll wakes the runs of withdrawals and counts those that heard it.
func (b Backend) nudgeAll(ctx context.Context, open []db.OpenWithdrawalsRow) int {
	ctx, cancel := context.WithTimeout(ctx, nudgesTimeout)
	defer cancel()
	var nudged atomic.Int64
	var group errgroup.Group
	group.SetLimit(nudgesAtOnce)
	for _, row := range open {
		group.Go(func() error {
			if b.nudge(ctx, ref(row.ID, row.WorkspaceID, row.AmountMsat)) == nil {
				nudged.Add(1)
			}

			return nil
		})
	}
	_ = group.Wait()

	return int(nudged.Load())
}

func ref(id, workspaceID string, amountMsat int64) workflows.WithdrawalRef {
	return workflows.WithdrawalRef{ID: id, WorkspaceID: workspaceID, AmountMsat: payments.Msat(amountMsat)}
}
