package model

import (
	"context"
	"errors"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// nodeView is the node as one worker's process sees it: each call is a step that
// can be cut, and it remembers for how long the node has answered well.
type nodeView struct {
	lightning.Node

	w *world
	// since is when it first answered after its last trouble; zero while it is
	// in trouble.
	since time.Time
}

// SteadyFor implements lightning.Node by the model's clock.
func (n *nodeView) SteadyFor() time.Duration {
	if n.since.IsZero() {
		return 0
	}

	return n.w.now.Sub(n.since)
}

// definite are the answers that say something.
func definite(err error) bool {
	for _, one := range []error{
		lightning.ErrInvoiceExists, lightning.ErrInvoiceNotFound, lightning.ErrInvoiceSettled, lightning.ErrPaymentNotFound,
		lightning.ErrPaymentExists, lightning.ErrPaymentRefused, lightning.ErrNoRoute,
	} {
		if errors.Is(err, one) {
			return true
		}
	}

	return err == nil
}

// judge keeps the steadiness, as lightning's own does.
func (n *nodeView) judge(err error) error {
	switch {
	case definite(err):
		if n.since.IsZero() {
			n.since = n.w.now
		}
	default:
		n.since = time.Time{}
	}

	return err
}

// call is one call of the node.
func (n *nodeView) call(ctx context.Context, method string, effect func() error) error {
	t := taskOf(ctx)
	if t == nil {
		return effect()
	}
	if t.dead {
		return errDead
	}
	v := t.stop(method, true, nil)
	t.dead = v == dieBefore || v == dieAfter
	switch {
	case v == dieBefore:
		return errDead
	case v == failBefore || n.w.down:
		return n.judge(errCut)
	}
	err := effect()
	switch v {
	case loseAnswer:
		return n.judge(errCut)
	case dieAfter:
		return errDead
	default:
		return n.judge(err)
	}
}

// AddInvoice implements lightning.Node.
func (n *nodeView) AddInvoice(ctx context.Context, want lightning.NewInvoice) (added lightning.Invoice, err error) {
	err = n.call(ctx, "AddInvoice", func() (err error) {
		added, err = n.Node.AddInvoice(context.Background(), want)

		return err
	})

	return zeroIf(err, added), err
}

// LookupInvoice implements lightning.Node.
func (n *nodeView) LookupInvoice(ctx context.Context, hash lightning.Hash) (found lightning.Invoice, err error) {
	err = n.call(ctx, "LookupInvoice", func() (err error) {
		found, err = n.Node.LookupInvoice(context.Background(), hash)

		return err
	})

	return zeroIf(err, found), err
}

// CancelInvoice implements lightning.Node.
func (n *nodeView) CancelInvoice(ctx context.Context, hash lightning.Hash) error {
	err := n.call(ctx, "CancelInvoice", func() error { return n.Node.CancelInvoice(context.Background(), hash) })
	if n.w.mutant == cancelBelieved && err != nil && !definite(err) {
		return nil
	}

	return err
}

// ListInvoices implements lightning.Node.
func (n *nodeView) ListInvoices(ctx context.Context, from, pageSize uint64, page func([]lightning.Invoice) error) error {
	var pages [][]lightning.Invoice
	err := n.call(ctx, "ListInvoices", func() error {
		return n.Node.ListInvoices(context.Background(), from, pageSize, func(one []lightning.Invoice) error {
			pages = append(pages, one)

			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, one := range pages {
		if err := page(one); err != nil {
			return err
		}
	}

	return nil
}

// HighestIndexes implements lightning.Node.
func (n *nodeView) HighestIndexes(ctx context.Context) (highest lightning.Indexes, err error) {
	err = n.call(ctx, "HighestIndexes", func() (err error) {
		highest, err = n.Node.HighestIndexes(context.Background())

		return err
	})

	return zeroIf(err, highest), err
}

// ReceivableMsat implements lightning.Node. It is asked for a warning only, so
// it is no step.
func (n *nodeView) ReceivableMsat(context.Context) (payments.Msat, error) {
	return n.Node.ReceivableMsat(context.Background())
}

// EstimateFee implements lightning.Node: a question of a word, so no step.
func (n *nodeView) EstimateFee(_ context.Context, request lightning.RouteRequest) (payments.Msat, error) {
	return n.Node.EstimateFee(context.Background(), request)
}

// TrackPayment implements lightning.Node.
func (n *nodeView) TrackPayment(ctx context.Context, hash lightning.Hash) (found lightning.Payment, err error) {
	err = n.call(ctx, "TrackPayment", func() (err error) {
		found, err = n.Node.TrackPayment(context.Background(), hash)

		return err
	})

	return zeroIf(err, found), err
}

// HTLCsOf implements lightning.Node.
func (n *nodeView) HTLCsOf(ctx context.Context, hash lightning.Hash) (htlcs lightning.HTLCs, err error) {
	err = n.call(ctx, "HTLCsOf", func() (err error) {
		htlcs, err = n.Node.HTLCsOf(context.Background(), hash)

		return err
	})

	return zeroIf(err, htlcs), err
}

// ComingUp implements lightning.Node: who has seen it steady for a minute does
// not ask.
func (n *nodeView) ComingUp(ctx context.Context) (up bool, err error) {
	if n.SteadyFor() > time.Minute {
		return false, nil
	}
	err = n.call(ctx, "ComingUp", func() error { return nil })

	return false, err
}

// ListPayments implements lightning.Node.
func (n *nodeView) ListPayments(ctx context.Context, after, pageSize uint64, page func([]lightning.Payment) error) error {
	var pages [][]lightning.Payment
	err := n.call(ctx, "ListPayments", func() error {
		return n.Node.ListPayments(context.Background(), after, pageSize, func(one []lightning.Payment) error {
			pages = append(pages, one)

			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, one := range pages {
		if err := page(one); err != nil {
			return err
		}
	}

	return nil
}

// sendWindow is how long a licence lives, and latest how long after its licence
// the node may begin what was sent, by the protocol: settled time is later.
const (
	sendWindow = 20 * time.Second
	latest     = 34 * time.Second
)

// SendPayment implements lightning.Node. Its stream is read until the payment is
// over, the stream breaks or the licence has run out, by the model's clock.
func (n *nodeView) SendPayment(ctx context.Context, request lightning.SendRequest) (*lightning.Payment, error) {
	t := taskOf(ctx)
	if t.dead {
		return nil, errDead
	}
	v := t.stop("SendPayment", true, nil)
	t.dead = v == dieBefore || v == dieAfter
	begin := func() (*lightning.Payment, error) { return n.w.begin(request) }
	switch {
	case v == dieBefore && n.w.draw(4) == 0, v == failBefore && n.w.draw(2) == 0:
		// It is on its way to the node, which begins it later.
		n.w.delay(t.licensed, begin)

		return nil, n.judge(errCut)
	case v == dieBefore:
		return nil, errDead
	case v == failBefore || n.w.down:
		return nil, n.judge(errCut)
	}
	last, err := begin()
	switch {
	case v == dieAfter:
		return nil, errDead
	case v == loseAnswer:
		return nil, n.judge(errCut)
	case err == nil || !errors.Is(err, context.DeadlineExceeded):
		return last, n.judge(err)
	}

	return n.stream(t, *last)
}

// stream reads what becomes of a payment that has begun.
func (n *nodeView) stream(t *task, last lightning.Payment) (*lightning.Payment, error) {
	epoch := n.w.epoch
	over := func() bool {
		now, err := n.Node.TrackPayment(context.Background(), last.PaymentHash)
		if err == nil && now.Index == last.Index && now.CreatedNS == last.CreatedNS {
			last = now
		}

		return last.State != lightning.PaymentInFlight || n.w.epoch != epoch || n.w.now.Sub(t.licensed) >= sendWindow
	}
	v := t.stop("its stream", true, over)
	t.dead = v == dieBefore || v == dieAfter
	switch {
	case t.dead:
		return nil, errDead
	case v != pass || n.w.epoch != epoch:
		return &last, n.judge(errCut)
	case last.State != lightning.PaymentInFlight:
		return &last, n.judge(nil)
	}

	return &last, context.DeadlineExceeded
}

// zeroIf hides the answer behind an error.
func zeroIf[T any](err error, answer T) T {
	if err != nil {
		var none T

		return none
	}

	return answer
}

// expired is a context that lets a call begin and not wait.
type expired struct {
	context.Context //nolint:containedctx // It is one.

	looked bool
	done   chan struct{}
}

func newExpired() *expired {
	done := make(chan struct{})
	close(done)

	return &expired{Context: context.Background(), done: done}
}

// Err is nil when it is first asked, which is before the call's effect.
func (c *expired) Err() error {
	if !c.looked {
		c.looked = true

		return nil
	}

	return context.DeadlineExceeded
}

func (c *expired) Done() <-chan struct{} { return c.done }
