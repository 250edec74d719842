package model

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

const (
	// maxRounds bounds how often the clock moves until all is over.
	maxRounds = 600
	// sweepRounds is how often in them the sweeper and the operator come by, at
	// the latest.
	sweepRounds = 15
	// sweepEvery is the sweeper's minute, and a little.
	sweepEvery = 61 * time.Second
)

// heal ends all faults and lets everything come to its end: what our own code
// does not come back to by itself stays undone, and is found.
func (w *world) heal() {
	w.healing = true
	w.note("no more faults")
	w.drain()
	w.release(func(delayedSend) bool { return true })
	w.node.Restart()
	w.restarted()
	for _, c := range w.clients {
		// Some clients never come back.
		c.gaveUp = !c.answered && w.chance(4)
	}
	for _, p := range w.inFlight() {
		w.endPayment(p)
	}
	w.thaw()
	w.rest()
	for range 2 {
		if !w.review() {
			break
		}
		w.rest()
	}
	w.nodeTask("SweepRows", func(ctx context.Context, on *worker) error { return on.nodes().SweepRows(ctx) })
	w.drain()
	w.afterwards()
}

// drain lets all tasks go on to their ends.
func (w *world) drain() {
	for len(w.violations) == 0 {
		w.goOn()
		if len(w.tasks) == 0 {
			return
		}
		i := slices.IndexFunc(w.tasks, (*task).runnable)
		if i < 0 {
			next, ok := w.nextDue()
			if !ok {
				w.fail("%d tasks wait for each other", len(w.tasks))

				return
			}
			before := w.now
			w.advanceBy(next.Sub(w.now))
			if !w.now.After(before) {
				w.fail("the clock stands still")
			}

			continue
		}
		w.step(w.tasks[i], pass)
		w.afterwards()
	}
}

// rest lets time go by until nothing is left to do.
func (w *world) rest() {
	for round := 0; len(w.violations) == 0; round++ {
		w.attend()
		w.drain()
		if round%sweepRounds == sweepRounds-1 {
			// Some runs come back again and again for what another must do first,
			// and some things are noticed late and stop others.
			w.sweep()
		}
		if next, ok := w.nextDue(); ok {
			w.advanceBy(next.Sub(w.now))
		} else if w.over() {
			return
		} else {
			w.advanceBy(sweepEvery)
			w.sweep()
		}
		if round > maxRounds {
			w.fail("nothing comes to rest")
		}
	}
}

// sweep is the sweeper, and an operator who looks at what is frozen.
func (w *world) sweep() {
	w.nodeTask("SweepRows", func(ctx context.Context, on *worker) error { return on.nodes().SweepRows(ctx) })
	w.sweepInvoices()
	w.sweepPayments()
	w.drain()
	w.thaw()
}

// attend does what clients, streams and recipients do in a sound world.
func (w *world) attend() {
	if !w.stream.open && !w.stream.busy {
		w.stream.begin(w)
		w.drain()
	}
	for w.stream.open && len(w.stream.queue) > 0 && !w.stream.busy && len(w.violations) == 0 {
		w.stream.receive(w)
		w.drain()
	}
	if !w.payments.open && !w.payments.busy {
		w.payments.begin(w)
		w.drain()
	}
	if w.payments.open && len(w.payments.queue) > 0 && !w.payments.busy {
		w.payments.passOn(w)
		w.drain()
	}
	for _, p := range w.inFlight() {
		w.endPayment(p)
	}
	for _, c := range slices.Clone(w.clients) {
		if c.trying == nil && !c.answered && !c.gaveUp {
			c.try()
			w.drain()
		}
	}
	w.observe()
}

// over reports whether all rows are.
func (w *world) over() bool {
	var open int
	w.lost("look for open rows", w.db.admin.QueryRow(w.ctx, `SELECT (SELECT count(*) FROM charge WHERE status = 'pending')
		+ (SELECT count(*) FROM withdrawal WHERE completed_at IS NULL AND review_reason IS NULL)
		+ (SELECT count(*) FROM receipt WHERE state = 'uncredited') + (SELECT count(*) FROM delivery WHERE status = 'pending')
		+ (SELECT count(*) FROM withdrawal_resolution WHERE outcome IS NULL)
		+ (SELECT count(*) FROM node WHERE regressed_at IS NOT NULL)`).Scan(&open))
	for _, c := range w.clients {
		if !c.answered && !c.gaveUp {
			open++
		}
	}

	return open == 0
}

// thaw is an operator who clears what stops payouts.
func (w *world) thaw() {
	read := func(sql string) []string {
		rows, err := w.db.admin.Query(w.ctx, sql)
		w.lost("read what is frozen", err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		w.lost("read what is frozen", err)

		return found
	}
	scopes := read(`SELECT scope FROM payout_freeze WHERE frozen
		UNION SELECT 'node/' || name FROM node WHERE regressed_at IS NOT NULL ORDER BY 1`)
	for _, scope := range scopes {
		w.start("thaw", w.workers[0], func(ctx context.Context) error {
			_, err := w.db.store.ThawPayouts(ctx, scope, operator)

			return err
		}, func(error) {})
		w.drain()
	}
	if len(scopes) > 0 {
		w.nodeTask("Thaw", func(ctx context.Context, on *worker) error { return on.nodes().Thaw(ctx) })
		w.drain()
	}
	rows, err := w.db.admin.Query(w.ctx, `SELECT node, payment_index, created_ns FROM stray_payment
		WHERE state = 'open' AND withdrawal_id IS NULL ORDER BY payment_index, created_ns`)
	w.lost("read strays", err)
	strays, err := pgx.CollectRows(rows, pgx.RowToStructByPos[store.StrayRef])
	w.lost("read strays", err)
	for _, ref := range strays {
		w.start("stray to owner", w.workers[0], func(ctx context.Context) error {
			_, err := w.db.store.LeaveStrayToOwner(ctx, ref, operator)

			return err
		}, func(error) {})
		w.drain()
	}
}

// review is an operator who looks at what is under review; false if there is
// nothing.
func (w *world) review() bool {
	rows, err := w.db.admin.Query(w.ctx, "SELECT id FROM withdrawal WHERE review_reason IS NOT NULL ORDER BY id")
	w.lost("read reviews", err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.lost("read reviews", err)
	for _, id := range ids {
		w.command(id, pick(w, []string{store.ResolvePost, store.ResolveVoid, store.ResolveRetry}))
		w.drain()
	}

	return len(ids) > 0
}

// setup makes the workspaces, their endpoint and their money.
func (w *world) setup() error {
	if err := w.db.reset(w.ctx); err != nil {
		return err
	}
	w.sink.current = w
	var batch pgx.Batch
	batch.Queue("SELECT set_config('sim.now', $1, false)", w.now.Format(time.RFC3339))
	batch.Queue("INSERT INTO node (name, pubkey, network) VALUES ($1, $2, 'regtest')", w.node.Name(), w.node.Pubkey())
	for range 2 + w.draw(2) {
		id := w.newID(payments.PrefixWorkspace)
		w.workspaces = append(w.workspaces, id)
		batch.Queue("INSERT INTO workspace (id, name) VALUES ($1, 'model')", id)
		batch.Queue("INSERT INTO balance (workspace_id) VALUES ($1)", id)
		w.fund(&batch, id, payments.Msat(20+w.draw(100))*1000)
	}
	endpoint := w.newID(payments.PrefixEndpoint)
	batch.Queue("INSERT INTO webhook_endpoint (id, workspace_id, url, events, secret_sealed) VALUES ($1, $2, $3, '{*}', $4)",
		endpoint, w.workspaces[0], w.server.URL, w.sealer.Seal(endpoint, secret))
	if err := w.db.admin.SendBatch(w.ctx, &batch).Close(); err != nil {
		return err
	}
	w.observe()
	w.checkAlways()

	return nil
}

// fund gives a workspace money that an operator has assigned: a receipt without
// a charge.
func (w *world) fund(batch *pgx.Batch, workspace string, amount payments.Msat) {
	preimage := w.preimage()
	added, err := w.node.AddInvoice(context.Background(), newInvoice(preimage, amount))
	w.lost("fund", err)
	settled, err := w.node.Settle(added.PaymentHash, 0)
	w.lost("fund", err)
	batch.Queue(`INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, state, assigned_to)
		VALUES ($1, $2, $3, $4, $5, 'assigned', $6)`,
		w.node.Name(), added.PaymentHash[:], int64(amount), int64(settled.SettleIndex), settled.SettledAt, workspace)
	batch.Queue(`INSERT INTO transfer (workspace_id, sequence, id, kind, ref, debit_account, credit_account, amount_msat,
			available_after_msat, locked_after_msat) VALUES ($1, 1, $2, 'suspense_assigned', $3, 10, 1, $4, $4, 0)`,
		workspace, w.newID(payments.PrefixTransfer), "receipt/"+w.node.Name()+"/"+added.PaymentHash.String(), int64(amount))
	batch.Queue("UPDATE balance SET available_msat = $2, version = 1 WHERE workspace_id = $1", workspace, int64(amount))
}
