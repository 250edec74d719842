package activities

import (
	"context"
	"time"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/store"
)

// The steps that WatchNode and SweepNode take, one at a time and without their
// clocks, for whoever keeps the time: the simulator of tests/model decides
// itself which of them comes next, and replays that.

// SetClocks replaces the clocks by which a sender knows how old its licence is:
// the one that is never set, and the wall clock. nil are the machine's.
func (a *Withdrawals) SetClocks(read func() (running time.Duration, wall time.Time)) {
	if read == nil {
		a.now = nil

		return
	}
	a.now = func() moment {
		running, wall := read()

		return moment{running: running, wall: wall}
	}
}

// Receive records what the stream of settled invoices brought and nudges. The
// stream was opened at openedAt by Postgres' clock; zero while more of it waits.
func (a *Nodes) Receive(ctx context.Context, openedAt time.Time, invoices []lightning.Invoice) error {
	batch := make([]store.Settlement, len(invoices))
	for i, invoice := range invoices {
		batch[i] = settlement(invoice)
	}
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()

	return a.write(ctx, nudges, openedAt, batch)
}

// Renudge nudges for receipts that wait for their credit.
func (a *Nodes) Renudge(ctx context.Context) error {
	refs, err := a.uncredited(ctx, renudgeEvery)
	if err != nil {
		return err
	}
	a.nudgeAll(ctx, refs, nil)

	return nil
}

// SweepInvoices writes the receipts that the node's list of invoices shows to be
// missing.
func (a *Nodes) SweepInvoices(ctx context.Context) error {
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()

	return a.sweepList(ctx, nudges)
}

// PassOn nudges for what the stream of payments brought; sweep says that the
// list of payments should be read.
func (a *Nodes) PassOn(ctx context.Context, payments []lightning.Payment) (sweep bool, err error) {
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()
	asked := make(chan struct{}, 1)
	err = a.passBatch(ctx, nudges, payments, asked)

	return len(asked) > 0, err
}

// NudgeFollowed nudges all withdrawals that are followed, as when the stream of
// payments opens.
func (a *Nodes) NudgeFollowed(ctx context.Context) error {
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()

	return a.missed(ctx, nudges)
}

// SweepPayments compares the node's list of payments with the withdrawals.
func (a *Nodes) SweepPayments(ctx context.Context) error { return a.sweepPayments(ctx) }

// Thaw ends the node's regression if an operator has asked for that.
func (a *Nodes) Thaw(ctx context.Context) error {
	nudges := newNudges(a.Nudger, a.Log)
	defer nudges.wait()

	return a.thaw(ctx, nudges)
}
