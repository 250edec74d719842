package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// Limit is a limit of a workspace. A value of 0 is no limit.
type Limit struct {
	Name string `json:"name"`
	// Setting is what holds for workspaces without a limit of their own.
	Setting int64 `json:"setting"`
	// Own is the workspace's; nil: the setting holds.
	Own *int64 `json:"own"`
}

// Limits is what `ops limits` prints.
type Limits struct {
	WorkspaceID string  `json:"workspace_id"`
	Limits      []Limit `json:"limits"`
}

func (l Limits) text(w io.Writer) {
	fmt.Fprintln(w, "LIMIT\tHOLDS\tSETTING\tOWN")
	for _, one := range l.Limits {
		holds, own := one.Setting, "-"
		if one.Own != nil {
			holds, own = *one.Own, strconv.FormatInt(*one.Own, 10)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", one.Name, limitText(holds), one.Setting, own)
	}
}

func limitText(value int64) string {
	if value == 0 {
		return "none"
	}

	return strconv.FormatInt(value, 10)
}

func (b Backend) limits(workspaceID string, own map[string]int64) Limits {
	all := Limits{WorkspaceID: workspaceID}
	for _, name := range store.LimitNames() {
		limit := Limit{Name: name, Setting: b.LimitDefaults[name]}
		if value, ok := own[name]; ok {
			limit.Own = &value
		}
		all.Limits = append(all.Limits, limit)
	}

	return all
}

func limitsCommand(connect Connect) *cobra.Command {
	cmd := &cobra.Command{Use: "limits", Short: "Limits of a workspace's own, in place of the settings"}
	cmd.AddCommand(limitsShowCommand(connect), limitsSetCommand(connect), limitsClearCommand(connect))

	return cmd
}

// workspaceFlag names the workspace.
func workspaceFlag(cmd *cobra.Command, workspace *string) {
	cmd.Flags().StringVar(workspace, "workspace", "", "the workspace (ws_…, required)")
}

func checkWorkspace(workspace string) error {
	if !payments.ValidID(payments.PrefixWorkspace, workspace) {
		return fmt.Errorf("--workspace: %q is no id of a workspace (ws_…)", workspace)
	}

	return nil
}

func limitsShowCommand(connect Connect) *cobra.Command {
	c := &common{connect: connect}
	var workspace string
	cmd := &cobra.Command{
		Use: "show --workspace WS", Short: "Show the limits that hold for a workspace", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkWorkspace(workspace); err != nil {
				return err
			}

			return c.run(cmd, func(ctx context.Context, b Backend) error {
				if _, err := b.Store.GetWorkspace(ctx, workspace); err != nil {
					return fmt.Errorf("read %s: %w", workspace, err)
				}
				own, err := store.Overrides(ctx, b.Store.Queries, workspace)
				if err != nil {
					return err
				}
				limits := b.limits(workspace, own)

				return c.print(cmd, limits, limits.text)
			})
		},
	}
	c.register(cmd)
	workspaceFlag(cmd, &workspace)

	return cmd
}

func limitsSetCommand(connect Connect) *cobra.Command {
	return changeLimitsCommand(connect, &cobra.Command{
		Use:   "set --workspace WS --by NAME --reason TEXT NAME=VALUE…",
		Short: "Give a workspace limits of its own; 0 is no limit; they hold within 5 s, for withdrawals at once",
		Args:  cobra.MinimumNArgs(1),
	}, readLimit)
}

func limitsClearCommand(connect Connect) *cobra.Command {
	return changeLimitsCommand(connect, &cobra.Command{
		Use:   "clear --workspace WS --by NAME --reason TEXT NAME…",
		Short: "Have the settings hold for a workspace again",
		Args:  cobra.MinimumNArgs(1),
	}, func(arg string) (string, *int64, error) { return arg, nil, nil })
}

// readLimit reads name=value.
func readLimit(arg string) (name string, value *int64, err error) {
	name, text, found := strings.Cut(arg, "=")
	if !found {
		return "", nil, fmt.Errorf("%q is not of the form NAME=VALUE", arg)
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 {
		return "", nil, fmt.Errorf("%s: %q is not a whole number of 0 or more", name, text)
	}

	return name, &number, nil
}

// changeLimitsCommand completes a command that sets what read makes of its
// arguments; nothing is connected to before all of them are good.
func changeLimitsCommand(connect Connect, cmd *cobra.Command, read func(string) (string, *int64, error)) *cobra.Command {
	s := &signed{common: common{connect: connect}}
	var workspace string
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkWorkspace(workspace); err != nil {
			return err
		}
		by, err := s.operator()
		if err != nil {
			return err
		}
		values, err := readLimits(args, read)
		if err != nil {
			return err
		}

		return s.run(cmd, func(ctx context.Context, b Backend) error {
			own, err := b.Store.SetLimits(ctx, workspace, values, by)
			if err != nil {
				return err
			}
			limits := b.limits(workspace, own)

			return s.print(cmd, limits, limits.text)
		})
	}
	s.register(cmd)
	workspaceFlag(cmd, &workspace)

	return cmd
}

func readLimits(args []string, read func(string) (string, *int64, error)) (map[string]*int64, error) {
	values := map[string]*int64{}
	var errs []error
	for _, arg := range args {
		name, value, err := read(arg)
		if err == nil && !slices.Contains(store.LimitNames(), name) {
			err = fmt.Errorf("%q is none of the limits: %s", name, strings.Join(store.LimitNames(), ", "))
		}
		if _, twice := values[name]; err == nil && twice {
			err = fmt.Errorf("%s is given twice", name)
		}
		errs = append(errs, err)
		values[name] = value
	}

	return values, errors.Join(errs...)
}
