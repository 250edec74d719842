package activities

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/workflows"
)

const (
	// maxNudges bounds the nudges under way at once.
	maxNudges = 64
	// nudgeTimeout bounds one: a run that does not answer is nudged again.
	nudgeTimeout = 10 * time.Second
	// maxUntold bounds what a watcher remembers to nudge again.
	maxUntold = 10_000
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
	// credits are those of charges, beside the nudges.
	credits errgroup.Group

	mu sync.Mutex
	// untold are the charges whose nudge has failed since untoldAgain.
	untold map[string]workflows.ChargeRef
}

func newNudges(nudger Nudger, log *slog.Logger) *nudges {
	n := &nudges{nudger: nudger, log: log, untold: map[string]workflows.ChargeRef{}}
	n.group.SetLimit(maxNudges)
	n.credits.SetLimit(settleQueue)

	return n
}

// send nudges charges.
func (n *nudges) send(ctx context.Context, refs []workflows.ChargeRef) {
	for _, ref := range refs {
		n.charge(ctx, ref)
	}
}

func (n *nudges) charge(ctx context.Context, ref workflows.ChargeRef) {
	n.begin(ctx, ref.ID, func(ctx context.Context) error {
		err := n.nudger.NudgeCharge(ctx, ref)
		if err != nil {
			n.remember(ref)
		}

		return err
	})
}

// remember keeps a charge for another nudge. What finds no room is found by the
// sweeper, as after the death of this process.
func (n *nudges) remember(ref workflows.ChargeRef) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.untold) < maxUntold {
		n.untold[ref.ID] = ref
	}
}

// untoldAgain gives the charges whose nudge has failed, and forgets them.
func (n *nudges) untoldAgain() []workflows.ChargeRef {
	n.mu.Lock()
	defer n.mu.Unlock()
	refs := slices.Collect(maps.Values(n.untold))
	clear(n.untold)

	return refs
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
func (n *nudges) wait() {
	_ = n.group.Wait()
	_ = n.credits.Wait()
}
