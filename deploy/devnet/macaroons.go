package devnet

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"

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
			return fmt.Errorf("bake %s: %w", one.file, err)
		}
		if err := writeFile(s.state.path(one.file), macaroon); err != nil {
			return err
		}
	}

	return nil
}

// bake makes a macaroon for some calls.
func (n *Lnd) bake(ctx context.Context, uris []string) (macaroon []byte, err error) {
	request := &lnrpc.BakeMacaroonRequest{}
	for _, uri := range uris {
		request.Permissions = append(request.Permissions, &lnrpc.MacaroonPermission{Entity: "uri", Action: uri})
	}
	err = n.with(func(lnd lnrpc.LightningClient) error {
		answer, err := lnd.BakeMacaroon(ctx, request)
		if err != nil {
			return err
		}
		macaroon, err = hex.DecodeString(answer.Macaroon)

		return err
	})

	return macaroon, err
}
