package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/store/db"
)

const auditLimit = 50

// Action is a row of the audit trail.
type Action struct {
	ID     int64           `json:"id"`
	At     time.Time       `json:"at"`
	By     string          `json:"by"`
	Action string          `json:"action"`
	Target string          `json:"target"`
	Reason string          `json:"reason"`
	Detail json.RawMessage `json:"detail"`
}

func auditCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	f := &auditFilter{}
	cmd := &cobra.Command{
		Use: "audit", Args: cobra.NoArgs,
		Short: "List what operators did, the newest first; all of it: ops export audit",
		RunE: func(cmd *cobra.Command, _ []string) error {
			params, err := f.params()
			if err != nil {
				return err
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				rows, err := b.Store.FindOperatorActions(ctx, params)
				if err != nil {
					return fmt.Errorf("read the audit trail: %w", err)
				}
				actions := []Action{}
				for _, row := range rows {
					actions = append(actions, Action{
						ID: row.ID, At: row.CreatedAt.UTC(), By: row.Actor, Action: row.Action, Target: row.Target,
						Reason: row.Reason, Detail: row.Detail,
					})
				}

				// Before is where the next page begins; null at the end.
				var before *int64
				if len(actions) == int(f.limit) {
					before = &actions[len(actions)-1].ID
				}

				return c.print(cmd, map[string]any{"actions": actions, "next_before": before}, func(w io.Writer) {
					fmt.Fprintln(w, "AT\tBY\tACTION\tTARGET\tREASON\tDETAIL")
					for _, a := range actions {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", at(a.At), a.By, a.Action, a.Target, a.Reason, a.Detail)
					}
					if before != nil {
						fmt.Fprintf(w, "for older ones: --before %d\n", *before)
					}
				})
			})
		},
	}
	c.register(cmd)
	f.register(cmd)

	return cmd
}

// auditFilter are the flags that narrow the audit trail.
type auditFilter struct {
	limit             int32
	before            int64
	since, by, action string
}

func (f *auditFilter) register(cmd *cobra.Command) {
	cmd.Flags().Int32Var(&f.limit, "limit", auditLimit, "how many")
	cmd.Flags().Int64Var(&f.before, "before", 0, "only older than the action of this id: the next page")
	cmd.Flags().StringVar(&f.since, "since", "", "not older than this: a duration such as 24h, a day or a time (RFC 3339)")
	cmd.Flags().StringVar(&f.by, "by", "", "only of this operator")
	cmd.Flags().StringVar(&f.action, "action", "", "only this action, such as freeze or suspense_assign")
}

func (f *auditFilter) params() (db.FindOperatorActionsParams, error) {
	params := db.FindOperatorActionsParams{MaxRows: f.limit}
	if f.limit < 1 {
		return params, fmt.Errorf("--limit: %d is not positive", f.limit)
	}
	if f.before < 0 {
		return params, fmt.Errorf("--before: %d is no id", f.before)
	}
	if f.before > 0 {
		params.BeforeID = &f.before
	}
	if f.by != "" {
		params.Actor = &f.by
	}
	if f.action != "" {
		params.Action = &f.action
	}
	if f.since != "" {
		since, err := parseTime(f.since)
		if err != nil {
			return params, fmt.Errorf("--since: %w", err)
		}
		params.Since = &since
	}

	return params, nil
}

// parseTime reads a time (RFC 3339), the beginning of a day (UTC), or how long
// ago, such as 24h.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is no time (2026-11-26T12:00:00Z), day (2026-11-26) or duration (24h)", text)
	}

	return time.Now().Add(-ago), nil
}
