package model

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// nodeActions are what the outside world and the node do.
func (w *world) nodeActions() []choice {
	all := []choice{{w.mix[trouble], w.breakDown}, {w.mix[trouble], w.restartNode}, {w.mix[odd], w.oddities}}
	if open := w.openInvoices(); len(open) > 0 {
		all = append(all, choice{3, func() { w.pay(pick(w, open)) }})
	}
	if held := w.inFlight(); len(held) > 0 {
		all = append(all, choice{2, func() { w.endPayment(pick(w, held)) }})
	}
	if len(w.delayed) > 0 {
		all = append(all, choice{1, func() { w.release(func(delayedSend) bool { return true }) }})
	}
	if w.regresses {
		all = append(all, choice{1, w.goBack})
	}

	return all
}

// invoices are all that the node has.
func (w *world) invoices() (all []lightning.Invoice) {
	w.lost("list invoices", w.node.ListInvoices(context.Background(), 0, 1000, func(page []lightning.Invoice) error {
		all = append(all, page...)

		return nil
	}))

	return all
}

func (w *world) openInvoices() []lightning.Invoice {
	return slices.DeleteFunc(w.invoices(), func(i lightning.Invoice) bool {
		return i.State != lightning.InvoiceOpen && i.State != lightning.InvoiceAccepted
	})
}

// allPayments are all that the node has.
func (w *world) allPayments() (all []lightning.Payment) {
	w.lost("list payments", w.node.ListPayments(context.Background(), 0, 1000, func(page []lightning.Payment) error {
		all = append(all, page...)

		return nil
	}))

	return all
}

func (w *world) inFlight() []lightning.Payment {
	return slices.DeleteFunc(w.allPayments(), func(p lightning.Payment) bool { return p.State != lightning.PaymentInFlight })
}

// pay is a payer: of the amount, of more, or of a first part.
func (w *world) pay(invoice lightning.Invoice) {
	if w.down {
		return
	}
	amount := payments.Msat(0)
	switch w.draw(5) {
	case 0:
		amount = invoice.ValueMsat + payments.Msat(w.draw(2000))
	case 1:
		_ = w.node.Accept(invoice.PaymentHash)

		return
	}
	w.note("a payer pays %x", invoice.PaymentHash[:4])
	_, err := w.node.Settle(invoice.PaymentHash, amount)
	w.lost("settle an invoice", err)
}

// bookRequest is a withdrawal to an invoice of our own node.
func (w *world) bookRequest(invoice lightning.Invoice) payments.WithdrawalRequest {
	return payments.WithdrawalRequest{
		Bolt11: invoice.Bolt11, AmountMsat: invoice.ValueMsat, MaxFeeMsat: 1000,
		PaymentHash: hex.EncodeToString(invoice.PaymentHash[:]), Destination: w.node.Pubkey(), ExpiresAt: invoice.ExpiresAt,
	}
}

// endPayment is the recipient who takes or refuses what he holds.
func (w *world) endPayment(p lightning.Payment) {
	if w.down || p.Pending == 0 && !w.healing {
		return
	}
	if w.chance(2) {
		w.note("a payment of %x succeeds", p.PaymentHash[:4])
		w.lost("settle a payment", w.node.SettlePayment(p.PaymentHash))

		return
	}
	w.note("a payment of %x fails", p.PaymentHash[:4])
	w.lost("fail a payment", w.node.FailPayment(p.PaymentHash, lightning.ReasonIncorrectDetails))
}

// begin has the node begin what it was sent.
func (w *world) begin(request lightning.SendRequest) (*lightning.Payment, error) {
	before := w.allInitiations()
	last, err := w.node.SendPayment(newExpired(), request)
	for i, after := range w.allInitiations() {
		if after > before[i] {
			w.initiations = append(w.initiations, w.outsides[i].hash)
		}
	}

	return last, err
}

func (w *world) allInitiations() []int {
	all := make([]int, len(w.outsides))
	for i, o := range w.outsides {
		all[i] = w.node.Initiations(o.hash)
	}

	return all
}

// delay keeps a send on its way.
func (w *world) delay(licensed time.Time, begin func() (*lightning.Payment, error)) {
	w.delayed = append(w.delayed, delayedSend{licensed, begin})
}

// release lets sends arrive that are on their way.
func (w *world) release(which func(delayedSend) bool) {
	all := w.delayed
	w.delayed = nil
	for _, d := range all {
		if !which(d) {
			w.delayed = append(w.delayed, d)

			continue
		}
		w.note("a send arrives late")
		w.fault("a send arrives late")
		// Nobody is left to hear of an error.
		_, _ = d.begin()
	}
	w.observe()
}

// breakStreams ends all of them.
func (w *world) breakStreams() {
	w.epoch++
	w.stream.open, w.payments.open = false, false
}

func (w *world) breakDown() {
	if !w.down && !w.chance(3) {
		return
	}
	switch w.draw(4) {
	case 0:
		w.note("the streams break")
		w.fault("streams break")
		w.breakStreams()
	case 1:
		w.note("the node is away")
		w.fault("the node is away")
		w.down = true
		w.breakStreams()
	default:
		w.down = false
	}
}

func (w *world) restartNode() {
	if !w.chance(10) {
		return
	}
	w.note("the node restarts")
	w.fault("the node restarts")
	w.node.Restart()
	w.restarted()
}

// restarted is what all see of a node that has started again.
func (w *world) restarted() {
	w.down = false
	w.breakStreams()
	for _, one := range w.workers {
		one.view.since = time.Time{}
	}
}

// goBack is a node that is restored to an older state.
func (w *world) goBack() {
	if len(w.snapshots) == 0 || w.chance(3) {
		w.snapshots = append(w.snapshots, w.node.Snapshot())

		return
	}
	if !w.chance(4) {
		return
	}
	w.note("the node goes back in time")
	w.fault("the node goes back in time")
	w.node.Restore(pick(w, w.snapshots))
	w.restarted()
}

// oddities are what nodes do now and then.
func (w *world) oddities() {
	switch w.draw(8) {
	case 0:
		w.node.SkipSettleIndexes(uint64(1 + w.draw(3)))
	case 1:
		w.node.SettleHashless()
	case 2:
		// lnd cancels what has expired, in its own time.
		for _, invoice := range w.openInvoices() {
			if invoice.ExpiresAt.Before(w.now) {
				w.lost("cancel an invoice", w.node.Cancel(invoice.PaymentHash))
			}
		}
	case 3:
		w.foreignPayment()
	}
}

// foreignPayment is somebody else with the node's keys who pays what we were
// asked to pay.
func (w *world) foreignPayment() {
	if len(w.outsides) == 0 || !w.chance(2) {
		return
	}
	o := pick(w, w.outsides)
	if known, err := w.node.TrackPayment(context.Background(), o.hash); err == nil && known.State != lightning.PaymentFailed {
		return
	}
	end := pick(w, []lightning.PaymentState{lightning.PaymentSucceeded, lightning.PaymentFailed, lightning.PaymentInFlight})
	w.note("a foreign payment of %x is %s", o.hash[:4], end)
	w.fault("a foreign payment")
	w.foreign[o.hash] = true
	w.node.ForeignPayment(o.hash, end, o.request.AmountMsat, 0)
}

// freeze is an operator who stops payouts, or lets them go on.
func (w *world) freeze() {
	scope := pick(w, append([]string{store.FreezeAll, store.FreezeNode(w.node.Name())}, w.workspaces...))
	thaw := w.chance(2)
	w.start("freeze or thaw", w.workers[0], func(ctx context.Context) (err error) {
		if thaw {
			_, err = w.db.store.ThawPayouts(ctx, scope, operator)
		} else {
			_, err = w.db.store.FreezePayouts(ctx, scope, operator)
		}

		return err
	}, func(error) {})
}

var operator = store.Operator{Name: "model", Reason: "the seed wants it"}

// resolve is an operator who tries to end a withdrawal.
func (w *world) resolve() {
	all := w.claimed(payments.PrefixWithdrawal)
	if len(all) == 0 {
		return
	}
	w.command(pick(w, all).id, pick(w, []string{store.ResolvePost, store.ResolveVoid, store.ResolveRetry}))
}

func (w *world) command(id, action string) {
	w.start("resolve "+action, w.workers[0], func(ctx context.Context) error {
		_, err := w.db.store.AskToResolve(ctx, id, action, operator)

		return err
	}, func(err error) {
		if err == nil {
			w.ensureRun(id, true).nudge()
		}
	})
}

// settledStream is the watcher's stream of settled invoices.
type settledStream struct {
	open     bool
	busy     bool
	cursor   uint64
	openedAt time.Time
	queue    []lightning.Invoice
}

func (s *settledStream) choices(w *world) []choice {
	switch {
	case s.busy:
		return nil
	case !s.open && !w.down:
		return []choice{{3, func() { s.begin(w) }}}
	case s.open && len(s.queue) > 0:
		return []choice{{4, func() { s.receive(w) }}}
	case s.open:
		// A quiet stream moves the cursor.
		return []choice{{1, func() { s.receive(w) }}}
	}

	return nil
}

// begin opens a stream from the stored cursor.
func (s *settledStream) begin(w *world) {
	s.busy = true
	epoch := w.epoch
	w.start("open the stream", pick(w, w.workers), func(ctx context.Context) error {
		node, err := w.db.store.GetNode(ctx, w.node.Name())
		if err == nil {
			s.cursor, s.openedAt = uint64(node.SettleCursor), node.Now
		}

		return err
	}, func(err error) {
		s.busy = false
		if err != nil || w.epoch != epoch || w.down {
			return
		}
		s.open, s.queue = true, w.node.Backlog(s.cursor)
		w.note("the stream opens from %d with %d", s.cursor, len(s.queue))
		if s.cursor == 0 {
			w.sweepInvoices()
		}
	})
}

// receive hands some of the queue on: in another order, or twice.
func (s *settledStream) receive(w *world) {
	n := len(s.queue)
	if n > 0 && w.chance(2) {
		n = 1 + w.draw(n)
	}
	if !w.healing && w.chance(3) {
		w.rng.Shuffle(len(s.queue), func(i, j int) { s.queue[i], s.queue[j] = s.queue[j], s.queue[i] })
	}
	batch := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	if n > 0 && !w.healing && w.chance(2) {
		w.fault("a settled invoice is told twice")
		s.queue = append(s.queue, batch[0])
	}
	openedAt := s.openedAt
	if len(s.queue) > 0 {
		openedAt = time.Time{}
	}
	s.busy = true
	epoch, on := w.epoch, pick(w, w.workers)
	w.start("Receive", on, func(ctx context.Context) error { return on.nodes().Receive(ctx, openedAt, batch) }, func(err error) {
		s.busy = false
		if err != nil || w.epoch != epoch {
			s.open = false
		}
	})
}

// paymentStream is the watcher's stream of payments, which replays nothing.
type paymentStream struct {
	open  bool
	busy  bool
	queue []lightning.Payment
}

func (s *paymentStream) choices(w *world) []choice {
	switch {
	case s.busy:
		return nil
	case !s.open && !w.down:
		return []choice{{1, func() { s.begin(w) }}}
	case s.open && len(s.queue) > 0:
		return []choice{{4, func() { s.passOn(w) }}}
	}

	return nil
}

func (s *paymentStream) begin(w *world) {
	s.open, s.busy, s.queue = true, true, nil
	on := pick(w, w.workers)
	w.start("NudgeFollowed", on, func(ctx context.Context) error {
		if err := on.nodes().NudgeFollowed(ctx); err != nil {
			return err
		}

		return on.nodes().SweepPayments(ctx)
	}, func(err error) { s.busy, s.open = false, s.open && err == nil })
}

func (s *paymentStream) passOn(w *world) {
	batch := s.queue
	s.queue, s.busy = nil, true
	on := pick(w, w.workers)
	var sweep bool
	w.start("PassOn", on, func(ctx context.Context) (err error) {
		sweep, err = on.nodes().PassOn(ctx, batch)

		return err
	}, func(err error) {
		s.busy, s.open = false, s.open && err == nil
		if sweep {
			w.sweepPayments()
		}
	})
}

// observe sees what has changed on the node and tells it to the streams.
func (w *world) observe() {
	for _, invoice := range w.invoices() {
		if invoice.State != lightning.InvoiceSettled {
			continue
		}
		known := w.settledOnNode[invoice.PaymentHash]
		if slices.Contains(known, invoice) {
			continue
		}
		w.settledOnNode[invoice.PaymentHash] = append(known, invoice)
		if w.stream.open && invoice.SettleIndex > w.stream.cursor {
			w.stream.queue = append(w.stream.queue, invoice)
		}
	}
	for _, p := range w.allPayments() {
		if w.lastSeen[p.PaymentHash] == p {
			continue
		}
		w.lastSeen[p.PaymentHash] = p
		if p.State == lightning.PaymentSucceeded {
			w.paidOnNode[p.PaymentHash] = append(w.paidOnNode[p.PaymentHash], p)
		}
		if w.payments.open {
			w.payments.queue = append(w.payments.queue, p)
		}
	}
	w.checkInitiations()
}
