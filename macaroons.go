package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/lightning"
)

// macaroonsCommand prints how to bake what the worker needs and no more.
func macaroonsCommand() *cobra.Command {
	var payer bool
	cmd := &cobra.Command{
		Use: "macaroons", Short: "Print the lncli commands that bake the worker's macaroons",
		Long: "Print the lncli commands that bake the worker's macaroons, each for the calls that it makes and no others.\n" +
			"Nothing is asked of a node: run them where lnd runs. The api needs none.",
		Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			out := cmd.OutOrStdout()
			printBake(out, "receive.macaroon", "node.macaroon_file: receives, cannot pay", lightning.ReceivePermissions())
			printBake(out, "spend.macaroon", "node.spend_macaroon_file: pays, reads payments and balances", lightning.SpendPermissions())
			if payer {
				printBake(out, "payer.macaroon", "sandbox.payer.macaroon_file, on the second node of a sandbox", lightning.PayerPermissions())
			}
		},
	}
	cmd.Flags().BoolVar(&payer, "payer", false, "that of the sandbox's payer node too")

	return cmd
}

func printBake(w io.Writer, file, what string, uris []string) {
	fmt.Fprintf(w, "# %s\nlncli bakemacaroon --save_to %s", what, file)
	for _, uri := range uris {
		fmt.Fprintf(w, " \\\n    uri:%s", uri)
	}
	fmt.Fprint(w, "\n")
}
