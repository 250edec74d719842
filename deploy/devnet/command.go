package devnet

import "github.com/spf13/cobra"

// Command is `lntpay dev` with its subcommands.
func Command() *cobra.Command {
	dev := &cobra.Command{
		Use:          "dev",
		Short:        "Run the whole stack on this machine",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
	}
	dev.AddCommand(toolsCommand())

	return dev
}
