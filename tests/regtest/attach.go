package regtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/lntpay/lntpay/lightning"
)

// Remote is a node that somebody else runs.
type Remote struct {
	// Config has the admin macaroon.
	Config lightning.Config
	// ServerName is the name in its certificate, where that is not its address'.
	ServerName string
}

// Attach is a network that somebody else runs: there is no shop, and nothing of
// it can be stopped, killed, paused or mined. Close ends the connections.
func Attach(ctx context.Context, merchant, payer Remote) (*Net, error) {
	n := &Net{Merchant: merchant.node(), Payer: payer.node()}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, node := range n.nodes() {
		if err := node.dial(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("attach to %s: %w", node.Config.Name, err), n.Close())
		}
	}

	return n, nil
}

func (r Remote) node() *Lnd {
	return &Lnd{Config: r.Config, AdminMacaroonFile: r.Config.MacaroonFile, serverName: r.ServerName}
}
