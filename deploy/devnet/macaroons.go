package devnet

import (
	"context"

	"github.com/lntpay/lntpay/lightning"
)

// The macaroons of the product in the state folder; nothing of it has an
// admin's.
const (
	receiveMacaroon = "receive.macaroon"
	spendMacaroon   = "spend.macaroon"
	payerMacaroon   = "payer.macaroon"
)

// bakeMacaroons writes them anew at each start: a new version may need more.
func (s *stack) bakeMacaroons(ctx context.Context) error {
	for _, one := range []struct {
		file string
		node *Lnd
		uris []string
	}{
		{receiveMacaroon, s.merchant, lightning.ReceivePermissions()},
		{spendMacaroon, s.merchant, lightning.SpendPermissions()},
		{payerMacaroon, s.payer, lightning.PayerPermissions()},
	} {
		macaroon, err := one.node.bake(ctx, one.uris)
		if err != nil {
			return err
		}
		if err := writeFile(s.state.path(one.file), macaroon); err != nil {
			return err
		}
	}

	return nil
}
