package devnet

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// toolsCommand is `lntpay dev tools`: paths on stdout, one a line, in the
// order asked for; progress on stderr, so that a Makefile can take the output.
func toolsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tools [name…]",
		Short: "Build the pinned tools once and print their paths",
		Long: fmt.Sprintf("Build the pinned tools once, into your cache folder, and print their paths, one a line.\n"+
			"Without names: those of the development stack.\n\nTools: %v", tools.All()),
		RunE: func(cmd *cobra.Command, args []string) error {
			names := tools.Stack()
			if len(args) > 0 {
				names = names[:0]
				for _, arg := range args {
					names = append(names, tools.Name(arg))
				}
			}
			if i := slices.IndexFunc(names, func(n tools.Name) bool { return !n.Valid() }); i >= 0 {
				return fmt.Errorf("there is no tool %q; the tools are %v", names[i], tools.All())
			}
			built, err := tools.Build(cmd.Context(), func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }, names...)
			if err != nil {
				return err
			}
			for _, name := range names {
				fmt.Fprintln(cmd.OutOrStdout(), built[name])
			}

			return nil
		},
	}
}
