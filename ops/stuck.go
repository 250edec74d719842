package ops

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/store/db"
)

const stuckAge = 10 * time.Minute

// StuckWithdrawal is a withdrawal that is under review or open for long.
type StuckWithdrawal struct {
	ID          string `json:"id"`
	WorkspaceID string `json:"workspace_id"`
	Node        string `json:"node"`
	Kind        string `json:"kind"`
	Status      string `json:"status"`
	AmountMsat  int64  `json:"amount_msat"`
	MaxFeeMsat  int64  `json:"max_fee_msat"`
	AgeS        int64  `json:"age_s"`
	Sends       int32  `json:"sends"`
	// HTLCAttempts and HTLCExpiryHeight are what the node last said; 0 before.
	HTLCAttempts     int32 `json:"htlc_attempts"`
	HTLCExpiryHeight int64 `json:"htlc_expiry_height"`
	// ReviewReason is null when it is not under review.
	ReviewReason *string `json:"review_reason"`
	// ToResolve says that an operator's command is not judged yet.
	ToResolve bool `json:"to_resolve"`
	// Frozen is why its payouts are stopped; "" if they are not.
	Frozen      string     `json:"frozen"`
	CreatedAt   time.Time  `json:"created_at"`
	CheckedAt   *time.Time `json:"checked_at"`
	NextCheckAt *time.Time `json:"next_check_at"`
}

// FreezeRow is a freeze that is on.
type FreezeRow struct {
	Scope  string    `json:"scope"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// RegressedNode is a node that went back in time.
type RegressedNode struct {
	Name            string     `json:"name"`
	RegressedAt     time.Time  `json:"regressed_at"`
	ThawRequestedAt *time.Time `json:"thaw_requested_at"`
}

// Stuck is what `ops stuck` prints: all that waits for somebody.
type Stuck struct {
	Withdrawals    []StuckWithdrawal `json:"withdrawals"`
	Strays         []Stray           `json:"strays"`
	Freezes        []FreezeRow       `json:"freezes"`
	RegressedNodes []RegressedNode   `json:"regressed_nodes"`
}

func stuckCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	var older time.Duration
	cmd := &cobra.Command{
		Use: "stuck", Args: cobra.NoArgs,
		Short: "List withdrawals under review or open for long, stray payments, freezes, nodes back in time",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if older < 0 {
				return fmt.Errorf("--older: %s is negative", older)
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				stuck, err := b.stuck(ctx, older)
				if err != nil {
					return err
				}

				return c.print(cmd, stuck, stuck.text)
			})
		},
	}
	c.register(cmd)
	cmd.Flags().DurationVar(&older, "older", stuckAge, "open for longer than this, such as 1h")

	return cmd
}

func (b Backend) stuck(ctx context.Context, older time.Duration) (Stuck, error) {
	stuck := Stuck{Withdrawals: []StuckWithdrawal{}, RegressedNodes: []RegressedNode{}}
	rows, err := b.Store.StuckWithdrawals(ctx, db.StuckWithdrawalsParams{OlderS: older.Seconds(), MaxRows: maxRows})
	if err != nil {
		return stuck, fmt.Errorf("read withdrawals: %w", err)
	}
	for _, row := range rows {
		stuck.Withdrawals = append(stuck.Withdrawals, stuckWithdrawal(row))
	}
	if stuck.Strays, err = b.openStrays(ctx); err != nil {
		return stuck, err
	}
	if stuck.Freezes, err = b.freezes(ctx); err != nil {
		return stuck, err
	}
	nodes, err := b.Store.RegressedNodes(ctx)
	if err != nil {
		return stuck, fmt.Errorf("read nodes: %w", err)
	}
	for _, node := range nodes {
		stuck.RegressedNodes = append(stuck.RegressedNodes, RegressedNode{
			Name: node.Name, RegressedAt: node.RegressedAt.UTC(), ThawRequestedAt: utc(node.ThawRequestedAt),
		})
	}

	return stuck, nil
}

func stuckWithdrawal(row db.StuckWithdrawalsRow) StuckWithdrawal {
	w := row.Withdrawal

	return StuckWithdrawal{
		ID: w.ID, WorkspaceID: w.WorkspaceID, Node: w.Node, Kind: w.Kind, Status: w.Status,
		AmountMsat: w.AmountMsat, MaxFeeMsat: w.MaxFeeMsat, AgeS: row.AgeS, Sends: w.Sends,
		HTLCAttempts: w.HtlcAttempts, HTLCExpiryHeight: w.HtlcExpiryHeight, ReviewReason: w.ReviewReason,
		ToResolve: row.ToResolve, Frozen: row.Frozen,
		CreatedAt: w.CreatedAt.UTC(), CheckedAt: utc(w.CheckedAt), NextCheckAt: utc(w.NextCheckAt),
	}
}

func (b Backend) freezes(ctx context.Context) ([]FreezeRow, error) {
	rows, err := b.Store.ListFreezes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read freezes: %w", err)
	}
	freezes := []FreezeRow{}
	for _, row := range rows {
		freezes = append(freezes, FreezeRow{Scope: row.Scope, By: row.Actor, Reason: row.Reason, Since: row.ChangedAt.UTC()})
	}

	return freezes, nil
}

// text is a table for each kind of thing; what there is none of is left out.
func (s Stuck) text(w io.Writer) {
	if len(s.Withdrawals) > 0 {
		fmt.Fprintln(w, "WITHDRAWAL\tWORKSPACE\tMSAT\tSTATUS\tAGE\tSENDS\tATTEMPTS\tHTLC EXPIRY\tNEXT CHECK\tWHY")
	}
	for _, one := range s.Withdrawals {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", one.ID, one.WorkspaceID, one.AmountMsat, one.Status,
			time.Duration(one.AgeS)*time.Second, one.Sends, one.HTLCAttempts, height(one.HTLCExpiryHeight),
			atOr(one.NextCheckAt, "-"), one.why())
	}
	if len(s.Strays) > 0 {
		strayTable(w, s.Strays)
	}
	for _, freeze := range s.Freezes {
		fmt.Fprintf(w, "frozen: %s, by %s since %s: %s\n", freeze.Scope, freeze.By, at(freeze.Since), freeze.Reason)
	}
	for _, node := range s.RegressedNodes {
		fmt.Fprintf(w, "back in time: node %s, since %s, thaw asked for: %s\n",
			node.Name, at(node.RegressedAt), atOr(node.ThawRequestedAt, "no"))
	}
	if len(s.Withdrawals)+len(s.Strays)+len(s.Freezes)+len(s.RegressedNodes) == 0 {
		fmt.Fprintln(w, "nothing is stuck")
	}
}

// why is what a withdrawal waits for, as far as its row says.
func (s StuckWithdrawal) why() string {
	switch {
	case s.ToResolve:
		return "a command is not judged yet"
	case s.ReviewReason != nil:
		return "under review: " + *s.ReviewReason
	case s.Frozen != "" && s.Status == "held":
		return s.Frozen
	}

	return "open"
}

func height(h int64) string {
	if h == 0 {
		return "-"
	}

	return fmt.Sprint(h)
}
