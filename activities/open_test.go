package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/workflows"
)

func requireErrType(t *testing.T, err error, errType string) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, errType, app.Type())
	require.True(t, app.NonRetryable())
}

func TestOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	state, err := w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePending, state.Status)
	require.Greater(t, state.DueIn, time.Hour-5*time.Second)
	require.Less(t, state.DueIn, time.Hour+5*time.Second)
	body := w.created(t, in.ChargeID)

	// Again is the same.
	_, err = w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	sameBytes(t, body, w.created(t, in.ChargeID))
	require.Equal(t, 1, w.node.Calls(lightningtest.AddInvoice), "past creating, AddInvoice is never called again")
	w.sound(t)
}

// TestOpenCrash crashes between each pair of steps, repeats, and repeats what
// is done: one invoice, one charge, one answer.
func TestOpenCrash(t *testing.T) {
	t.Parallel()
	node := func(method lightningtest.Method, faults ...lightningtest.Fault) func(*testing.T, *world) func() {
		return func(_ *testing.T, w *world) func() {
			w.node.Inject(method, faults...)

			return func() {}
		}
	}
	table := func(name, kind string) func(*testing.T, *world) func() {
		return func(t *testing.T, w *world) func() { return w.breakTable(t, name, kind, "true") }
	}
	for name, c := range map[string]struct {
		fault func(*testing.T, *world) (heal func())
		// crashes is how often the opening fails before it works.
		crashes int
		rows    int64
	}{
		"the row is not inserted":         {table("charge", "INSERT"), 1, 0},
		"the node is away":                {node(lightningtest.AddInvoice, lightningtest.FailBefore), 1, 1},
		"the invoice's answer is lost":    {node(lightningtest.AddInvoice, lightningtest.FailAfter), 1, 1},
		"the node hangs":                  {node(lightningtest.AddInvoice, lightningtest.HangBefore), 1, 1},
		"the node works and hangs":        {node(lightningtest.AddInvoice, lightningtest.HangAfter), 1, 1},
		"the invoice is not stored":       {table("charge", "UPDATE"), 1, 1},
		"the answer is not frozen":        {table("claim", "UPDATE"), 1, 1},
		"the receivable amount is unread": {node(lightningtest.ReceivableMsat, lightningtest.FailBefore), 0, 0},
		"the repeat cannot look it up": {func(_ *testing.T, w *world) func() {
			w.node.Inject(lightningtest.AddInvoice, lightningtest.FailAfter)
			w.node.Inject(lightningtest.LookupInvoice, lightningtest.FailBefore, lightningtest.FailAfter)

			return func() {}
		}, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := w.order(t)
			heal := c.fault(t, w)
			for range c.crashes {
				_, err := w.openBriefly(t, in)
				require.Error(t, err)
				status, _ := w.answer(t, in.ChargeID)
				require.Zero(t, status, "nothing passing is frozen")
				require.Equal(t, c.rows, w.number(t, "SELECT count(*) FROM charge WHERE status = 'creating'"))
			}
			heal()
			w.assertOpens(t, in)
		})
	}
}

// openBriefly opens as the local activity does, with a deadline.
func (w *world) openBriefly(t *testing.T, in workflows.OpenCharge) (workflows.ChargeState, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
	defer cancel()

	return w.OpenCharge(ctx, in)
}

func (w *world) assertOpens(t *testing.T, in workflows.OpenCharge) {
	t.Helper()
	var first []byte
	for range 3 {
		state, err := w.OpenCharge(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, payments.ChargePending, state.Status)
		body := w.created(t, in.ChargeID)
		if first == nil {
			first = body
		}
		sameBytes(t, first, body)
	}
	require.Equal(t, 1, w.invoices(t))
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM charge"))
	w.sound(t)
}

// A warning never stops a charge, not even if the node hangs over it.
func TestOpenWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.SetReceivable(amount - 1)
	require.Equal(t, []string{payments.WarningInsufficientInbound}, w.row(t, w.opened(t)).Warnings)
	w.node.SetReceivable(amount)
	require.Empty(t, w.row(t, w.opened(t)).Warnings)

	w.node.Inject(lightningtest.ReceivableMsat, lightningtest.HangBefore)
	in := w.order(t)
	_, err := w.openBriefly(t, in)
	require.NoError(t, err)
	w.created(t, in.ChargeID)
}

// A second run may see another liquidity: the row keeps the warnings that the
// frozen answer names.
func TestOpenKeepsItsWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.SetReceivable(amount - 1)
	id := w.opened(t)
	row := w.row(t, id)
	status, err := w.Store.FinishOpening(t.Context(), db.FinishOpeningParams{
		ID: id, Bolt11: row.Bolt11, AddIndex: row.AddIndex, ExpiresAt: *row.ExpiresAt, CloseAt: *row.ExpiresAt,
		Warnings: []string{},
	})
	require.NoError(t, err)
	require.EqualValues(t, payments.ChargePending, status)
	require.Equal(t, []string{payments.WarningInsufficientInbound}, w.row(t, id).Warnings)
}

func TestOpenAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	w.exec(t, "UPDATE claim SET answer_status = 422, answer = 'no', answered_at = now()")
	state, err := w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, workflows.ChargeState{}, state, "a refusal is an answer")
	require.Zero(t, w.number(t, "SELECT count(*) FROM charge"))
	require.Zero(t, w.node.Calls(lightningtest.AddInvoice))
	state, err = w.LookAtCharge(t.Context(), in.ChargeID)
	require.NoError(t, err)
	require.Empty(t, state.Status, "nothing was opened, and that is no alarm")
	require.Zero(t, w.alerts(t, activities.AlertRowMissing))
}

func TestOpenTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	late := in
	late.StartBy = time.Now().Add(-time.Second)
	_, err := w.OpenCharge(t.Context(), late)
	requireErrType(t, err, workflows.ErrTypeOutcomeUnknown)
	status, _ := w.answer(t, in.ChargeID)
	require.Zero(t, status)
	require.Zero(t, w.number(t, "SELECT count(*) FROM charge"))
	require.Zero(t, w.node.Calls(lightningtest.AddInvoice))

	// A row that exists is the result, however late: nothing is judged again.
	w.node.Inject(lightningtest.AddInvoice, lightningtest.FailAfter)
	_, err = w.OpenCharge(t.Context(), in)
	require.ErrorIs(t, err, lightningtest.ErrLost)
	w.assertOpens(t, late)
}

// The node's invoice has ended before the opening did.
func TestOpenFindsInvoiceEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(*testing.T, *world, string)
		status payments.ChargeStatus
		event  string
	}{
		"settled": {func(t *testing.T, w *world, id string) { w.pay(t, id, 0) }, payments.ChargePaid, "charge.paid"},
		"settled, with the receipt": {func(t *testing.T, w *world, id string) {
			w.receive(t, w.pay(t, id, 0))
		}, payments.ChargePaid, "charge.paid"},
		"settled and credited": {func(t *testing.T, w *world, id string) {
			w.receive(t, w.pay(t, id, 0))
			_, err := w.SettleCharge(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, payments.ChargePaid, w.status(t, id), "from creating, the bolt11 fetched first")
		}, payments.ChargePaid, "charge.paid"},
		"canceled": {func(t *testing.T, w *world, id string) {
			require.NoError(t, w.node.Cancel(w.hash(t, id)))
		}, payments.ChargeExpired, "charge.expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := w.halfOpened(t)
			c.end(t, w, in.ChargeID)
			for range 2 {
				state, err := w.OpenCharge(t.Context(), in)
				require.NoError(t, err)
				require.Equal(t, c.status, state.Status)
				require.False(t, state.HasReceipt)
			}
			w.created(t, in.ChargeID)
			require.Equal(t, []string{c.event}, w.events(t, in.ChargeID))
			require.Equal(t, 1, w.invoices(t))
			w.sound(t)
		})
	}
}

// Settled before AddInvoice's answer has come back, seen by the watcher: the
// run that waits for the answer finishes over a paid charge.
func TestOpenSettledBesideAddInvoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	w.Node = &meddler{Node: w.node, afterAdd: func(invoice lightning.Invoice) {
		settled, err := w.node.Settle(invoice.PaymentHash, 0)
		require.NoError(t, err)
		w.receive(t, settled)
		state, err := w.SettleCharge(t.Context(), in.ChargeID)
		require.NoError(t, err)
		require.Equal(t, payments.ChargePaid, state.Status)
	}}
	state, err := w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePaid, state.Status)
	w.created(t, in.ChargeID)
	w.sound(t)
}

// meddler does something at the worst moment of a call to the node.
type meddler struct {
	lightning.Node
	afterAdd     func(lightning.Invoice)
	afterCancel  func()
	afterIndexes func()
	afterTrack   func()
	// send is what becomes of a call of SendPayment.
	send func(ctx context.Context, request lightning.SendRequest, call sendCall) (*lightning.Payment, error)
}

func (m *meddler) AddInvoice(ctx context.Context, want lightning.NewInvoice) (lightning.Invoice, error) {
	invoice, err := m.Node.AddInvoice(ctx, want)
	if m.afterAdd != nil && err == nil {
		m.afterAdd(invoice)
	}

	return invoice, err
}

func (m *meddler) CancelInvoice(ctx context.Context, hash lightning.Hash) error {
	err := m.Node.CancelInvoice(ctx, hash)
	if m.afterCancel != nil {
		m.afterCancel()
	}

	return err
}

func (m *meddler) HighestIndexes(ctx context.Context) (lightning.Indexes, error) {
	highest, err := m.Node.HighestIndexes(ctx)
	if m.afterIndexes != nil {
		m.afterIndexes()
	}

	return highest, err
}

func TestOpenRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	other, err := lightning.NewKeyRing([32]byte{2})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spoil  func(*testing.T, *world, string)
		target error
		alert  string
	}{
		"another amount under the hash": {func(t *testing.T, w *world, id string) {
			preimage, err := w.Keys.Derive(w.Keys.CurrentKeyID(), w.Store.Environment, w.node.Name(), id)
			require.NoError(t, err)
			_, err = w.node.AddInvoice(t.Context(), lightning.NewInvoice{Preimage: preimage, AmountMsat: 1, Expiry: time.Hour})
			require.NoError(t, err)
		}, nil, activities.AlertHashMismatch},
		"the key is missing": {func(_ *testing.T, w *world, _ string) { w.Keys = other }, lightning.ErrUnknownKey, ""},
		"the key changed under its id": {func(t *testing.T, w *world, id string) {
			w.exec(t, "UPDATE charge SET payment_hash = sha256('other') WHERE id = $1", id)
		}, nil, activities.AlertHashMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := w.order(t)
			w.node.Inject(lightningtest.AddInvoice, lightningtest.FailBefore)
			_, err := w.OpenCharge(t.Context(), in)
			require.ErrorIs(t, err, lightningtest.ErrLost)
			c.spoil(t, w, in.ChargeID)
			before := w.invoices(t)
			_, err = w.OpenCharge(t.Context(), in)
			require.Error(t, err)
			if c.target != nil {
				require.ErrorIs(t, err, c.target)
			}
			if c.alert != "" {
				require.Equal(t, 1, w.alerts(t, c.alert))
			}
			require.Equal(t, before, w.invoices(t))
			require.Equal(t, payments.ChargeCreating, w.status(t, in.ChargeID))
			status, _ := w.answer(t, in.ChargeID)
			require.Zero(t, status)
		})
	}
}

func TestMissingRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := workflows.OpenCharge{ChargeID: "ch_none", StartBy: time.Now().Add(time.Minute)}
	_, err := w.OpenCharge(t.Context(), in)
	requireErrType(t, err, workflows.ErrTypeRowMissing)
	_, err = w.CancelCharge(t.Context(), workflows.CancelCharge{ChargeID: "ch_none", ClaimID: "cnl_none", StartBy: in.StartBy})
	requireErrType(t, err, workflows.ErrTypeRowMissing)
	for _, activity := range []func(context.Context, string) (workflows.ChargeState, error){
		w.LookAtCharge, w.SettleCharge, w.ExpireCharge,
	} {
		_, err = activity(t.Context(), "ch_none")
		requireErrType(t, err, workflows.ErrTypeRowMissing)
	}
	require.Equal(t, 5, w.alerts(t, activities.AlertRowMissing))
	require.Zero(t, w.number(t, "SELECT count(*) FROM charge"), "only opening creates a row")
}

func TestOpenManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	states := make([]workflows.ChargeState, 20)
	errs := atOnce(len(states), func(i int) (err error) {
		states[i], err = w.OpenCharge(t.Context(), in)

		return err
	})
	require.Empty(t, errs)
	for _, state := range states {
		require.Equal(t, payments.ChargePending, state.Status)
	}
	w.assertOpens(t, in)
}

// A run that waits for the claim while another inserts the row and freezes the
// answer sees the answer and, in its snapshot, no row: that is no refusal.
func TestOpenAnsweredWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	done := make(chan error, 1)
	var state workflows.ChargeState
	require.NoError(t, w.Store.InTx(t.Context(), func(_ pgx.Tx, q *db.Queries) error {
		if _, err := q.LockClaim(t.Context(), db.LockClaimParams{ResourceID: in.ChargeID, StartBy: in.StartBy}); err != nil {
			return err
		}
		go func() {
			var err error
			state, err = w.OpenCharge(t.Context(), in)
			done <- err
		}()
		w.eventually(t, "it waits for the claim", func() bool {
			return w.number(t, `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 1
		})
		// All that the other run does, in the transaction that it waits for.
		other := &activities.Charges{
			Store: &store.Store{Queries: q, Pool: w.Store.Pool, Environment: w.Store.Environment},
			Node:  w.Charges.Node, Keys: w.Keys, Settle: w.Settle, Alerts: w.Charges.Alerts,
		}
		_, err := other.OpenCharge(t.Context(), in)

		return err
	}))
	require.NoError(t, <-done)
	require.Equal(t, payments.ChargePending, state.Status)
	w.assertOpens(t, in)
}

// The run that settled the charge died between storing the bolt11 and the
// credit: the opening that goes on tells that there is a receipt.
func TestOpenGoesOnOverReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.order(t)
	w.node.Inject(lightningtest.AddInvoice, lightningtest.FailAfter)
	_, err := w.OpenCharge(t.Context(), in)
	require.ErrorIs(t, err, lightningtest.ErrLost)
	w.receive(t, w.pay(t, in.ChargeID, 0))
	heal := w.breakTable(t, "transfer", "INSERT", "true")
	_, err = w.SettleCharge(t.Context(), in.ChargeID)
	require.ErrorContains(t, err, "injected fault")
	require.NotNil(t, w.row(t, in.ChargeID).Bolt11)
	require.Equal(t, payments.ChargeCreating, w.status(t, in.ChargeID))
	heal()
	state, err := w.OpenCharge(t.Context(), in)
	require.NoError(t, err)
	require.True(t, state.HasReceipt)
	w.created(t, in.ChargeID)
	state, err = w.SettleCharge(t.Context(), in.ChargeID)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePaid, state.Status)
	w.sound(t)
}
