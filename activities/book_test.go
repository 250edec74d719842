package activities_test

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

// ofCharge is the request to pay a charge of our own.
func (w *world) ofCharge(t *testing.T, chargeID string) payments.WithdrawalRequest {
	t.Helper()
	row := w.row(t, chargeID)

	return payments.WithdrawalRequest{
		Bolt11: *row.Bolt11, AmountMsat: payments.Msat(row.AmountMsat), MaxFeeMsat: maxFee,
		PaymentHash: hex.EncodeToString(row.PaymentHash), Destination: w.node.Pubkey(), ExpiresAt: *row.ExpiresAt,
	}
}

// book is a withdrawal of another workspace, its funds locked, that pays a
// charge of w.workspace.
func (w *world) book(t *testing.T) (id, chargeID, payer string) {
	t.Helper()
	chargeID = w.opened(t)
	payee := w.workspace
	w.workspace = storetest.Workspace(t, w.Store)
	payer = w.workspace
	w.fund(t, payer, amount)
	id = w.hold(t, w.ofCharge(t, chargeID))
	w.workspace = payee
	row := w.payout(t, id)
	require.Equal(t, "book", row.Kind)
	require.Zero(t, row.MaxFeeMsat)
	w.books(t, payer, 0, amount)

	return id, chargeID, payer
}

func (w *world) settleByBook(t *testing.T, id string) workflows.WithdrawalState {
	t.Helper()
	state, err := w.payouts.SettleByBook(t.Context(), id)
	require.NoError(t, err)

	return state
}

func TestBookTransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, payer := w.book(t)
	state := w.settleByBook(t, id)
	require.Equal(t, chargeID, state.ChargeID, "the charge's run is nudged")
	w.succeeded(t, id, 0)
	require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
	require.Equal(t, []string{"charge.paid"}, w.events(t, chargeID))
	w.books(t, payer, 0, 0)
	w.books(t, w.workspace, amount, 0)
	invoice, err := w.node.LookupInvoice(t.Context(), w.hash(t, chargeID))
	require.NoError(t, err)
	require.Equal(t, lightning.InvoiceCanceled, invoice.State, "nobody can pay it a second time")
	// Again finds it done.
	w.settleByBook(t, id)
	w.books(t, w.workspace, amount, 0)
}

// A workspace pays its own charge: one balance row, touched once.
func TestBookTransferToOneself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chargeID := w.opened(t)
	w.fund(t, w.workspace, amount)
	id := w.hold(t, w.ofCharge(t, chargeID))
	w.settleByBook(t, id)
	w.succeeded(t, id, 0)
	w.books(t, w.workspace, amount, 0)
}

// An outside payer was first: the withdrawal fails cleanly, and the charge is
// credited once, from its receipt.
func TestBookTransferLosesTheRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, payer := w.book(t)
	w.pay(t, chargeID, 0)
	w.settleByBook(t, id)
	w.failed(t, id, payments.FailurePaidElsewhere)
	w.books(t, payer, amount, 0)
	require.Nil(t, w.row(t, chargeID).SettlingBy)
	_, err := w.SettleCharge(t.Context(), chargeID)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
	w.books(t, w.workspace, amount, 0)
}

// bookOutpaid is a book transfer under way whose charge an outside payer has paid,
// and its receipt is credited.
func (w *world) bookOutpaid(t *testing.T) (id, chargeID, payer string) {
	t.Helper()
	id, chargeID, payer = w.book(t)
	w.receive(t, w.pay(t, chargeID, 0))
	_, err := w.SettleCharge(t.Context(), chargeID)
	require.NoError(t, err)

	return id, chargeID, payer
}

// The receipt of the outside payer may be credited before the book transfer
// asks the node: that is no riddle for an operator.
func TestBookTransferFindsTheChargeCredited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, payer := w.bookOutpaid(t)
	require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
	require.NotNil(t, w.row(t, chargeID).SettlingBy)
	w.settleByBook(t, id)
	w.failed(t, id, payments.FailurePaidElsewhere)
	require.Nil(t, w.row(t, chargeID).SettlingBy)
	w.books(t, payer, amount, 0)
	w.books(t, w.workspace, amount, 0)
	require.Equal(t, []string{"charge.paid"}, w.events(t, chargeID))
}

// In a freeze a book transfer does not begin: neither half of it happens.
func TestFreezeStopsBookTransfers(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"all", "node/merchant", "the payer"} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, chargeID, payer := w.book(t)
			if scope == "the payer" {
				scope = payer
			}
			w.freeze(t, scope)
			state := w.settleByBook(t, id)
			require.Equal(t, workflows.StepBook, state.Next)
			require.Positive(t, state.NextIn)
			require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
			w.books(t, payer, 0, amount)
			w.thaw(t)
			w.settleByBook(t, id)
			w.succeeded(t, id, 0)
			require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
		})
	}
}

// An outside payer who was first has paid: a freeze does not keep the payer's
// funds locked for a thaw.
func TestFreezeVoidsABookTransferThatLost(t *testing.T) {
	t.Parallel()
	for name, credited := range map[string]bool{"not credited yet": false, "credited": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, chargeID, payer := w.book(t)
			w.freeze(t, "all")
			w.settleByBook(t, id)
			w.receive(t, w.pay(t, chargeID, 0))
			if credited {
				_, err := w.SettleCharge(t.Context(), chargeID)
				require.NoError(t, err)
			}
			w.settleByBook(t, id)
			w.failed(t, id, payments.FailurePaidElsewhere)
			require.Nil(t, w.row(t, chargeID).SettlingBy)
			w.books(t, payer, amount, 0)
			_, err := w.SettleCharge(t.Context(), chargeID)
			require.NoError(t, err)
			w.books(t, w.workspace, amount, 0)
			require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
		})
	}
}

// A freeze that is written after the book transfer has looked, before or after
// the node has canceled the invoice, is read in the transaction that books.
func TestFreezeRacesABookTransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, payer := w.book(t)
	tx, err := w.Store.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	require.NoError(t, w.Store.WithTx(tx).ClosePayoutGate(t.Context()))
	_, err = tx.Exec(t.Context(), "INSERT INTO payout_freeze (scope, frozen, reason, actor) VALUES ('all', true, 'test', 'test')")
	require.NoError(t, err)
	booked := make(chan workflows.WithdrawalState, 1)
	go func() {
		state, _ := w.payouts.SettleByBook(t.Context(), id)
		booked <- state
	}()
	require.Eventually(t, func() bool {
		return w.number(t, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 1
	}, patience, 5*time.Millisecond, "it waits at the gate")
	require.NoError(t, tx.Commit(t.Context()))
	state := <-booked
	require.Equal(t, workflows.StepBook, state.Next)
	require.Positive(t, state.NextIn)
	w.books(t, payer, 0, amount)
	require.Equal(t, payments.ChargePending, w.status(t, chargeID))
	// Nobody else can pay the canceled invoice, and it is booked after a thaw.
	require.Positive(t, w.settleByBook(t, id).NextIn)
	w.thaw(t)
	w.settleByBook(t, id)
	w.succeeded(t, id, 0)
	w.books(t, w.workspace, amount, 0)
}

// A node that went back in time freezes its book transfers, and voids nothing:
// what it says was settled was settled in another life.
func TestBookTransferOfANodeBackInTime(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"known":   "UPDATE node SET regressed_at = now()",
		"noticed": "UPDATE node SET highest_payment_index = 100",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, chargeID, payer := w.book(t)
			w.pay(t, chargeID, 0)
			w.exec(t, sql)
			state := w.settleByBook(t, id)
			require.Equal(t, workflows.StepBook, state.Next)
			require.Positive(t, state.NextIn)
			w.books(t, payer, 0, amount)
			require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"))
			require.Positive(t, w.settleByBook(t, id).NextIn)
		})
	}
}

// Somebody else paid the charge of a book transfer, and then the node lost its
// invoice. Each look after a thaw took that for a node that had gone back in time
// once more, and froze payouts for ever. The receipt tells who paid.
func TestBookTransferOfALostPaidChargeIsOutpaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _, payer := w.bookOutpaid(t)
	w.node.Restore(lightningtest.Snapshot{})
	require.Positive(t, w.settleByBook(t, id).NextIn, "nothing is voided before a thaw")
	w.books(t, payer, 0, amount)
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"))

	w.exec(t, "UPDATE node SET thaw_requested_at = now()")
	require.NoError(t, w.nodes.Thaw(t.Context()))
	w.settleByBook(t, id)
	w.failed(t, id, payments.FailurePaidElsewhere)
	require.Zero(t, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"), "frozen again")
	w.books(t, payer, amount, 0)
	w.books(t, w.workspace, amount, 0)
}

// While a book transfer is settling a charge, nobody else ends it.
func TestClaimedChargeIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, _ := w.book(t)
	order := w.cancelOrder(t, chargeID)
	_, err := w.CancelCharge(t.Context(), order)
	require.NoError(t, err)
	w.canceled(t, order, 409)
	w.makeDue(t, chargeID)
	_, err = w.ExpireCharge(t.Context(), chargeID)
	require.NoError(t, err)
	require.Equal(t, payments.ChargePending, w.status(t, chargeID))
	// A second payer of the same charge is told.
	w.fund(t, w.workspace, amount)
	w.refused(t, w.hold(t, w.ofCharge(t, chargeID)), payments.CodeDuplicatePayment)
	w.settleByBook(t, id)
	w.succeeded(t, id, 0)
}

func TestBookTransferSurvivesTheNode(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]lightningtest.Fault{
		"before": lightningtest.FailBefore, "after": lightningtest.FailAfter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _, payer := w.book(t)
			w.node.Inject(lightningtest.CancelInvoice, fault)
			_, err := w.payouts.SettleByBook(t.Context(), id)
			require.Error(t, err)
			w.books(t, payer, 0, amount)
			w.settleByBook(t, id)
			w.succeeded(t, id, 0)
			w.books(t, payer, 0, 0)
			w.books(t, w.workspace, amount, 0)
		})
	}
}

// Only an open charge of this environment, by its whole invoice.
func TestOwnInvoiceRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, w *world, id string, r *payments.WithdrawalRequest){
		"paid": func(t *testing.T, w *world, id string, _ *payments.WithdrawalRequest) {
			w.receive(t, w.pay(t, id, 0))
			_, err := w.SettleCharge(t.Context(), id)
			require.NoError(t, err)
		},
		"expired": func(t *testing.T, w *world, id string, _ *payments.WithdrawalRequest) { w.makeDue(t, id) },
		"another invoice of the hash": func(_ *testing.T, w *world, _ string, r *payments.WithdrawalRequest) {
			r.Bolt11, _ = w.node.OutsideInvoice(amount, time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fund(t, w.workspace, amount)
			chargeID := w.opened(t)
			r := w.ofCharge(t, chargeID)
			spoil(t, w, chargeID, &r)
			w.refused(t, w.hold(t, r), payments.CodeInvoiceInvalid)
		})
	}
}

// A foreign destination is an ordinary payment, even with a charge's hash.
func TestWrappedInvoiceIsForeign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fund(t, w.workspace, amount+maxFee)
	chargeID := w.opened(t)
	id := w.hold(t, request("lnbcrt1wrapped", w.hash(t, chargeID)))
	require.Equal(t, "lightning", w.payout(t, id).Kind)
	require.Nil(t, w.row(t, chargeID).SettlingBy)
}
