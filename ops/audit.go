package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
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
	var limit int32
	cmd := &cobra.Command{
		Use: "audit", Short: "List what operators did, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return fmt.Errorf("--limit: %d is not positive", limit)
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				rows, err := b.Store.ListOperatorActions(ctx, limit)
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

				return c.print(cmd, map[string]any{"actions": actions}, func(w io.Writer) {
					fmt.Fprintln(w, "AT\tBY\tACTION\tTARGET\tREASON\tDETAIL")
					for _, a := range actions {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", at(a.At), a.By, a.Action, a.Target, a.Reason, a.Detail)
					}
				})
			})
		},
	}
	c.register(cmd)
	cmd.Flags().Int32Var(&limit, "limit", auditLimit, "how many")

	return cmd
}
