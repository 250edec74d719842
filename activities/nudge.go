package activities

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/workflows"
)

const (
	// maxNudges bounds the nudges under way at once.
	maxNudges = 64
	// nudgeTimeout bounds one: a run that does not answer is nudged again.
	nudgeTimeout = 10 * time.Second
)

// Nudger wakes workflows: the Starter, or a fake.
type Nudger interface {
	NudgeCharge(ctx context.Context, ref workflows.ChargeRef) error
	NudgeWithdrawal(ctx context.Context, ref workflows.WithdrawalRef) error
	Deliver(ctx context.Context, deliveryID string) error
}

// nudges sends nudges beside what found them: a run that is slow to answer
// must not hold back the receipts of others. Past the bound it does.
type nudges struct {
	nudger Nudger
	log    *slog.Logger
	group  errgroup.Group
}

func newNudges(nudger Nudger, log *slog.Logger) *nudges {
	n := &nudges{nudger: nudger, log: log}
	n.group.SetLimit(maxNudges)

	return n
}

// send nudges charges.
func (n *nudges) send(ctx context.Context, refs []workflows.ChargeRef) {
	for _, ref := range refs {
		n.begin(ctx, ref.ID, func(ctx context.Context) error { return n.nudger.NudgeCharge(ctx, ref) })
	}
}

// withdrawal nudges a withdrawal.
func (n *nudges) withdrawal(ctx context.Context, ref workflows.WithdrawalRef) {
	n.begin(ctx, ref.ID, func(ctx context.Context) error { return n.nudger.NudgeWithdrawal(ctx, ref) })
}

// begin nudges one. A failure is only logged: what was nudged for is in the
// rows, and somebody comes back for it.
func (n *nudges) begin(ctx context.Context, id string, nudge func(context.Context) error) {
	n.group.Go(func() error {
		ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
		defer cancel()
		if err := nudge(ctx); err != nil {
			n.log.WarnContext(ctx, "nudge failed, will be repeated", "resource", id, "error", err)
		}

		return nil
	})
}

// wait returns when all are answered.
func (n *nudges) wait() { _ = n.group.Wait() }
