package devnet

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

// toolsCommand is `lntpay dev tools`.
func toolsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tools [name…]",
		Short: "Build the pinned tools once and print their paths",
		Long: fmt.Sprintf("Build the pinned tools once, into your cache folder, and print their paths, one a line.\n"+
			"Without names: those of the development stack.\n\nTools: %v", tools.All()),
		RunE: func(cmd *cobra.Command, args []string) error {
			return tools.Print(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
}
