package activities

import (
	"context"
	"fmt"

	"github.com/lntpay/lntpay/store/db"
)

// nothingVoided is what a run waits for whose void notBackInTime stops.
const nothingVoided = "the node went back in time, or does not say: nothing is voided"

// notBackInTime is nil when the node has the highest payment and invoice that
// it was ever seen to have, and is not known to have gone back. It is asked
// again before each further send, each void and each conclusion from what the
// node lacks.
func (a *Withdrawals) notBackInTime(ctx context.Context, name string) error {
	// The stored ones first: what the node adds in between only raises it.
	node, err := a.Store.GetNode(ctx, name)
	if err != nil {
		return fmt.Errorf("read node %s: %w", name, err)
	}
	if node.RegressedAt != nil {
		return errRegressed
	}
	present, err := a.Node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}
	if regressed(node, present) {
		if err := markRegressed(ctx, a.Store, a.Alerts, node, present); err != nil {
			return err
		}

		return errRegressed
	}
	if err := a.Store.RaiseHighestPayment(ctx, db.RaiseHighestPaymentParams{
		Name: name, PaymentIndex: int64(present.Payment),
	}); err != nil {
		return fmt.Errorf("raise the payment index of %s: %w", name, err)
	}

	return nil
}
