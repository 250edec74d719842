package activities

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/store/db"
)

// sealTimeout bounds the sealing of one sweep; the next minute has the rest.
const sealTimeout = 10 * time.Second

// seal adds to the hash chain what was booked since the last sweep. The hash of
// each head is in the log, which goes elsewhere: it proves what came before.
func (a *Nodes) seal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sealTimeout)
	defer cancel()
	sealErr := a.sealAll(ctx)
	lag, err := ledger.Unsealed(ctx, a.Store.Pool)
	if err == nil {
		a.Metrics.unsealed.Set(float64(lag))
	}

	return errors.Join(sealErr, err)
}

// sealAll makes heads until there is little left.
func (a *Nodes) sealAll(ctx context.Context) error {
	for more, first := true, true; more; first = false {
		var sealed ledger.Sealed
		if err := a.Store.InTx(ctx, func(tx pgx.Tx, _ *db.Queries) (err error) {
			sealed, err = ledger.Seal(ctx, tx)

			return err
		}); err != nil {
			return err
		}
		if first {
			for _, gap := range sealed.Breaks {
				a.Alerts.Raise(ctx, AlertChainBroken, "transfers are missing from the ledger: what comes after them is not sealed",
					"workspace", gap.WorkspaceID, "sequence", gap.Sequence)
			}
		}
		if sealed.Head > 0 {
			a.Log.InfoContext(ctx, "ledger sealed", "head", sealed.Head, "hash", hex.EncodeToString(sealed.Hash),
				"blocks", sealed.Blocks, "transfers", sealed.Transfers, "actions", sealed.Actions)
		}
		more = sealed.More && sealed.Head > 0
	}

	return nil
}
