package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func balanceCommand(find Find) *cobra.Command {
	c := &common{find: find}

	return c.noun(&cobra.Command{
		Use: "balance", Short: "Print what the workspace has", Args: c.args(cobra.NoArgs),
		RunE: c.run(func(ctx context.Context, s *session, _ []string) error {
			balance, err := s.Ledger.Balance(ctx)
			if err != nil {
				return err
			}

			return s.show(rows{
				{"available", sat(balance.AvailableMsat)},
				{"locked", sat(balance.LockedMsat) + ", for withdrawals"},
				{"pending", sat(balance.PendingMsat) + ", in open charges"},
				{"as of", at(balance.AsOf)},
			})
		}),
	})
}
