package devnet

import (
	"github.com/spf13/cobra"

	"github.com/lntpay/lntpay/cli"
	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// listenCommand is `lntpay dev listen`: `lntpay webhooks listen` on the stack of
// --state-dir.
func listenCommand(o *Options) *cobra.Command {
	var count int
	listen := &cobra.Command{
		Use:   "listen",
		Short: "Register a webhook endpoint, verify what comes and print it, until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := FindRunning(o.StateDir)
			if err != nil {
				return err
			}
			client, err := lntpay.New(lntpay.Options{BaseURL: running.APIURL, APIKey: running.APIKeys.Sandbox})
			if err != nil {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()

			return cli.Listen(ctx, client, cli.ListenOptions{
				Description: "lntpay dev listen", Count: count, Out: cmd.OutOrStdout(), Say: cmd.ErrOrStderr(),
			})
		},
	}
	listen.Flags().IntVar(&count, "count", 0, "end after so many deliveries (default: never)")

	return listen
}
