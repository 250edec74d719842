package activities

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

const (
	// paymentQueue is what the stream of payments may be ahead of Postgres.
	paymentQueue = 1000
	// straySweepEvery is how often at most the list of payments is read because
	// the stream told of a stray.
	straySweepEvery = 5 * time.Second
	// postgresEvery is how often Postgres is asked whether it still is the same.
	postgresEvery = 2 * time.Second
	// straySweepTimeout bounds one such reading.
	straySweepTimeout = time.Minute
)

// watchPayments runs one subscription to all payments of the node to its end.
// It carries no money: it nudges the runs of withdrawals that are followed, and
// has the list read when it tells of a payment that none explains. The stream
// replays nothing, so whoever may have missed something is nudged when it opens.
func (a *Nodes) watchPayments(ctx context.Context, nudges *nudges) error {
	group, ctx := errgroup.WithContext(ctx)
	changes := make(chan lightning.Payment, paymentQueue)
	sweep := make(chan struct{}, 1)
	group.Go(func() error {
		return a.Node.SubscribePayments(ctx, func() {
			group.Go(func() error { return a.missed(ctx, nudges) })
			request(sweep)
		}, func(payment lightning.Payment) error {
			select {
			case changes <- payment:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error { return a.passOn(ctx, nudges, changes, sweep) })
	group.Go(func() error { return a.sweepStrays(ctx, sweep) })
	group.Go(func() error { return a.sweepWhenBack(ctx, sweep) })

	return group.Wait()
}

// sweepWhenBack asks for a sweep when Postgres was away, or is another than it
// was: it may know less than before of what the node pays.
func (a *Nodes) sweepWhenBack(ctx context.Context, sweep chan<- struct{}) error {
	ticker := time.NewTicker(postgresEvery)
	defer ticker.Stop()
	var postgres incarnation
	for {
		if postgres.isBack(a.incarnation(ctx)) && ctx.Err() == nil {
			a.Log.InfoContext(ctx, "Postgres is back: the node's payments are swept", "node", a.Node.Name())
			request(sweep)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *Nodes) incarnation(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()

	return a.Store.DatabaseIncarnation(ctx)
}

// incarnation is which Postgres it was that answered last. A pool replaces
// broken connections unseen, so that errors alone do not tell.
type incarnation struct {
	last string
	away bool
}

// isBack takes an answer, or that there is none.
func (i *incarnation) isBack(now string, err error) bool {
	if err != nil {
		i.away = true

		return false
	}
	back := i.away || i.last != "" && i.last != now
	i.last, i.away = now, false

	return back
}

// request asks for a sweep; one that is asked for already serves both.
func request(sweep chan<- struct{}) {
	select {
	case sweep <- struct{}{}:
	default:
	}
}

// missed nudges all withdrawals that are followed.
func (a *Nodes) missed(ctx context.Context, nudges *nudges) error {
	rows, err := a.Store.FollowedWithdrawals(ctx, db.FollowedWithdrawalsParams{Node: a.Node.Name(), MaxRows: sweepLimit})
	if err != nil {
		return fmt.Errorf("read followed withdrawals: %w", err)
	}
	for _, row := range rows {
		nudges.withdrawal(ctx, withdrawalRef(row.ID, row.WorkspaceID, row.AmountMsat))
	}

	return nil
}

func withdrawalRef(id, workspaceID string, amountMsat int64) workflows.WithdrawalRef {
	return workflows.WithdrawalRef{ID: id, WorkspaceID: workspaceID, AmountMsat: payments.Msat(amountMsat)}
}

// passOn turns changes into nudges, in batches on arrival.
func (a *Nodes) passOn(ctx context.Context, nudges *nudges, changes <-chan lightning.Payment, sweep chan<- struct{}) error {
	for {
		var batch []lightning.Payment
		select {
		case change := <-changes:
			batch = append(batch, change)
			for len(batch) < receiptBatch && len(changes) > 0 {
				batch = append(batch, <-changes)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := a.passBatch(ctx, nudges, batch, sweep); err != nil {
			return err
		}
	}
}

func (a *Nodes) passBatch(ctx context.Context, nudges *nudges, batch []lightning.Payment, sweep chan<- struct{}) error {
	queryCtx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	highest := int64(0)
	for _, payment := range batch {
		highest = max(highest, int64(payment.Index))
	}
	// What was seen once must be there ever after: a restored node is known by
	// what it lacks.
	if err := a.Store.RaiseHighestPayment(queryCtx, db.RaiseHighestPaymentParams{
		Name: a.Node.Name(), PaymentIndex: highest,
	}); err != nil {
		return fmt.Errorf("raise the payment index: %w", err)
	}
	about, stray, err := a.aboutWithdrawals(queryCtx, batch)
	if err != nil {
		return err
	}
	for _, row := range about {
		nudges.withdrawal(ctx, withdrawalRef(row.ID, row.WorkspaceID, row.AmountMsat))
	}
	if !stray {
		// The end of a stray also is a reason to look: until then it freezes
		// payouts, or its hash is refused.
		if stray, err = a.endsStray(queryCtx, batch); err != nil {
			return err
		}
	}
	if stray {
		request(sweep)
	}

	return nil
}

// endsStray reports whether a batch may tell of the end of a stray.
func (a *Nodes) endsStray(ctx context.Context, batch []lightning.Payment) (bool, error) {
	for _, payment := range batch {
		if payment.State != lightning.PaymentFailed {
			continue
		}
		open, err := a.Store.HasOpenStray(ctx, a.Node.Name())
		if err != nil {
			return false, fmt.Errorf("look for strays: %w", err)
		}

		return open, nil
	}

	return false, nil
}

// sweepStrays reads the list of payments when asked to. What is wrong with one
// reading is logged: the hourly sweep comes too.
func (a *Nodes) sweepStrays(ctx context.Context, sweep <-chan struct{}) error {
	for {
		select {
		case <-sweep:
		case <-ctx.Done():
			return ctx.Err()
		}
		sweepCtx, cancel := context.WithTimeout(ctx, straySweepTimeout)
		if err := a.sweepPayments(sweepCtx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "the node's payments are not swept", "node", a.Node.Name(), "error", err)
		}
		cancel()
		select {
		case <-time.After(straySweepEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
