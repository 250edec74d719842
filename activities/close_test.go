package activities_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

func (w *world) invoiceState(t *testing.T, id string) lightning.InvoiceState {
	t.Helper()
	invoice, err := w.node.LookupInvoice(t.Context(), w.hash(t, id))
	require.NoError(t, err)

	return invoice.State
}

func TestExpire(t *testing.T) {
	t.Parallel()
	settle := func(t *testing.T, w *world, id string) { w.pay(t, id, 0) }
	for name, c := range map[string]struct {
		prepare func(*testing.T, *world, string)
		early   bool
		status  payments.ChargeStatus
		invoice lightning.InvoiceState
	}{
		"not yet due": {early: true, status: payments.ChargePending, invoice: lightning.InvoiceOpen},
		"due":         {status: payments.ChargeExpired, invoice: lightning.InvoiceCanceled},
		"a part has arrived": {func(t *testing.T, w *world, id string) {
			require.NoError(t, w.node.Accept(w.hash(t, id)))
		}, false, payments.ChargeExpired, lightning.InvoiceCanceled},
		"the node canceled it before": {func(t *testing.T, w *world, id string) {
			require.NoError(t, w.node.Cancel(w.hash(t, id)))
		}, false, payments.ChargeExpired, lightning.InvoiceCanceled},
		"the node settled it": {settle, false, payments.ChargePaid, lightning.InvoiceSettled},
		"the node settled it, its word is lost once": {func(t *testing.T, w *world, id string) {
			settle(t, w, id)
			w.node.Inject(lightningtest.LookupInvoice, lightningtest.FailBefore)
		}, false, payments.ChargePaid, lightning.InvoiceSettled},
		"the node's answer is lost": {func(_ *testing.T, w *world, _ string) {
			w.node.Inject(lightningtest.CancelInvoice, lightningtest.FailBefore, lightningtest.FailAfter)
		}, false, payments.ChargeExpired, lightning.InvoiceCanceled},
		"a book transfer is settling it": {func(t *testing.T, w *world, id string) {
			w.exec(t, "UPDATE charge SET settling_by = 'wd_1' WHERE id = $1", id)
		}, false, payments.ChargePending, lightning.InvoiceOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.opened(t)
			if c.prepare != nil {
				c.prepare(t, w, id)
			}
			if !c.early {
				w.makeDue(t, id)
			}
			w.until(t, id, w.ExpireCharge)
			require.Equal(t, c.status, w.status(t, id))
			require.Equal(t, c.invoice, w.invoiceState(t, id))
			if c.status.Closed() {
				require.Equal(t, []string{"charge." + string(c.status)}, w.events(t, id))
			}
			w.sound(t)
		})
	}
}

// until repeats an activity until it works, and once more.
func (w *world) until(t *testing.T, id string, activity func(context.Context, string) (workflows.ChargeState, error)) {
	t.Helper()
	worked := 0
	for range 5 {
		state, err := activity(t.Context(), id)
		if err != nil {
			require.Equal(t, payments.ChargePending, w.status(t, id), "an error concludes nothing: %v", err)

			continue
		}
		require.Equal(t, w.status(t, id), state.Status)
		if worked++; worked == 2 {
			return
		}
	}
	t.Fatal("it never worked")
}

// A receipt that is there is not passed over for an expiry.
func TestExpireLeavesReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.receive(t, w.pay(t, id, 0))
	w.makeDue(t, id)
	state, err := w.ExpireCharge(t.Context(), id)
	require.NoError(t, err)
	require.True(t, state.HasReceipt)
	require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
}

// The swap is lost to a book transfer that claims the charge while the node
// cancels.
func TestExpireClaimedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.makeDue(t, id)
	w.Node = &meddler{Node: w.node, afterCancel: func() {
		w.exec(t, "UPDATE charge SET settling_by = 'wd_1' WHERE id = $1", id)
	}}
	state, err := w.ExpireCharge(t.Context(), id)
	require.NoError(t, err)
	require.True(t, state.Claimed)
	require.Equal(t, payments.ChargePending, state.Status)
	require.Empty(t, w.events(t, id))
}

// An invoice that the node does not have: gone, if the node is whole; unknown,
// if it went back in time.
func TestCloseNotFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose   func(*testing.T, *world, string)
		frozen bool
	}{
		"forgotten": {func(t *testing.T, w *world, id string) {
			w.opened(t)
			w.node.Forget(w.hash(t, id))
		}, false},
		"back in time": {func(t *testing.T, w *world, _ string) {
			w.exec(t, "UPDATE node SET highest_add_index = 1")
			w.node.Restore(lightningtest.Snapshot{})
		}, true},
		"back in time before any sweep saw its indexes": {func(_ *testing.T, w *world, _ string) {
			w.node.Restore(lightningtest.Snapshot{})
		}, true},
		"the node does not say": {func(t *testing.T, w *world, id string) {
			w.opened(t)
			w.node.Forget(w.hash(t, id))
			w.node.Inject(lightningtest.HighestIndexes, lightningtest.FailBefore)
		}, false},
	} {
		for _, status := range []payments.ChargeStatus{payments.ChargeExpired, payments.ChargeCanceled} {
			t.Run(name+", "+string(status), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				id := w.opened(t)
				c.lose(t, w, id)
				closing := w.ExpireCharge
				if status == payments.ChargeCanceled {
					in := w.cancelOrder(t, id)
					closing = func(ctx context.Context, _ string) (workflows.ChargeState, error) { return w.CancelCharge(ctx, in) }
				} else {
					w.makeDue(t, id)
				}
				if !c.frozen {
					w.until(t, id, closing)
					require.Equal(t, status, w.status(t, id))
					w.sound(t)

					return
				}
				w.assertFrozen(t, id, closing)
			})
		}
	}
}

// assertFrozen asserts that nothing is concluded about a charge, also once the
// node's indexes have grown again.
func (w *world) assertFrozen(t *testing.T, id string, closing func(context.Context, string) (workflows.ChargeState, error)) {
	t.Helper()
	for range 2 {
		_, err := closing(t.Context(), id)
		require.Error(t, err)
		require.Equal(t, payments.ChargePending, w.status(t, id))
		w.opened(t)
		w.opened(t)
	}
	require.EqualValues(t, 1, w.number(t, "SELECT count(*) FROM node WHERE regressed_at IS NOT NULL"))
	require.Positive(t, w.alerts(t, activities.AlertNodeRegressed))
	require.Empty(t, w.events(t, id))
	require.Zero(t, w.number(t, "SELECT count(*) FROM claim WHERE resource_id LIKE 'cnl%' AND answer IS NOT NULL"))
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*testing.T, *world) string
		answer  int32
		status  payments.ChargeStatus
	}{
		"open": {func(t *testing.T, w *world) string { return w.opened(t) }, 200, payments.ChargeCanceled},
		"canceled before": {func(t *testing.T, w *world) string {
			id := w.opened(t)
			_, err := w.CancelCharge(t.Context(), w.cancelOrder(t, id))
			require.NoError(t, err)

			return id
		}, 200, payments.ChargeCanceled},
		"paid": {func(t *testing.T, w *world) string { return w.paid(t) }, 409, payments.ChargePaid},
		"settled, nobody knows": {func(t *testing.T, w *world) string {
			id := w.opened(t)
			w.pay(t, id, 0)

			return id
		}, 409, payments.ChargePaid},
		"expired": {func(t *testing.T, w *world) string {
			id := w.opened(t)
			w.makeDue(t, id)
			_, err := w.ExpireCharge(t.Context(), id)
			require.NoError(t, err)

			return id
		}, 409, payments.ChargeExpired},
		"being settled by a book transfer": {func(t *testing.T, w *world) string {
			id := w.opened(t)
			w.exec(t, "UPDATE charge SET settling_by = 'wd_1' WHERE id = $1", id)

			return id
		}, 409, payments.ChargePending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := c.prepare(t, w)
			in := w.cancelOrder(t, id)
			var first []byte
			for range 3 {
				state, err := w.CancelCharge(t.Context(), in)
				require.NoError(t, err)
				require.Equal(t, c.status, state.Status)
				body := w.canceled(t, in, c.answer)
				if first == nil {
					first = body
				}
				sameBytes(t, first, body)
			}
			w.sound(t)
		})
	}
}

// canceled asserts the frozen answer of a cancel and returns it.
func (w *world) canceled(t *testing.T, in workflows.CancelCharge, want int32) []byte {
	t.Helper()
	status, body := w.answer(t, in.ClaimID)
	require.Equal(t, want, status)
	var answer struct {
		ID        string `json:"id"`
		Status    any    `json:"status"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
	}
	require.NoError(t, json.Unmarshal(body, &answer))
	if want == 200 {
		require.Equal(t, in.ChargeID, answer.ID)
		require.Equal(t, "canceled", answer.Status)
	} else {
		require.Equal(t, "charge_not_cancelable", answer.Code)
		require.Equal(t, "req_"+in.ClaimID, answer.RequestID)
	}

	return body
}

// Each step of a cancel fails once; the repeat goes on.
func TestCancelCrash(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *world) func(){
		"the node is away": func(_ *testing.T, w *world) func() {
			w.node.Inject(lightningtest.CancelInvoice, lightningtest.FailBefore)

			return func() {}
		},
		"the node's answer is lost": func(_ *testing.T, w *world) func() {
			w.node.Inject(lightningtest.CancelInvoice, lightningtest.FailAfter)

			return func() {}
		},
		"the row is not closed":    func(t *testing.T, w *world) func() { return w.breakTable(t, "charge", "UPDATE", "true") },
		"the answer is not frozen": func(t *testing.T, w *world) func() { return w.breakTable(t, "claim", "UPDATE", "true") },
		"the event is not written": func(t *testing.T, w *world) func() { return w.breakTable(t, "event", "INSERT", "true") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.opened(t)
			in := w.cancelOrder(t, id)
			heal := fault(t, w)
			_, err := w.CancelCharge(t.Context(), in)
			require.Error(t, err)
			require.Equal(t, payments.ChargePending, w.status(t, id))
			status, _ := w.answer(t, in.ClaimID)
			require.Zero(t, status)
			heal()
			_, err = w.CancelCharge(t.Context(), in)
			require.NoError(t, err)
			w.canceled(t, in, 200)
			require.Equal(t, []string{"charge.canceled"}, w.events(t, id))
			w.sound(t)
		})
	}
}

func TestCancelTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.cancelOrder(t, w.opened(t))
	in.StartBy = time.Now().Add(-time.Second)
	_, err := w.CancelCharge(t.Context(), in)
	requireErrType(t, err, workflows.ErrTypeOutcomeUnknown)
	require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
	status, _ := w.answer(t, in.ClaimID)
	require.Zero(t, status)
}

// A claim of one workspace does not reach another's charge.
func TestCancelOfAnotherWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.workspace = "ws_other"
	_, err := w.CancelCharge(t.Context(), w.cancelOrder(t, id))
	requireErrType(t, err, workflows.ErrTypeRowMissing)
	require.Equal(t, payments.ChargePending, w.status(t, id))
	require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
}

// A claim ends the charge that it was made for and no other of its workspace,
// and the claim of another POST ends none.
func TestCancelOfAnotherCharge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	in := w.cancelOrder(t, w.opened(t))
	opening := w.order(t)
	for _, claimID := range []string{in.ClaimID, opening.ChargeID} {
		_, err := w.CancelCharge(t.Context(), workflows.CancelCharge{ChargeID: id, ClaimID: claimID, StartBy: in.StartBy})
		requireErrType(t, err, workflows.ErrTypeRowMissing)
		status, _ := w.answer(t, claimID)
		require.Zero(t, status)
	}
	require.Equal(t, payments.ChargePending, w.status(t, id))
	require.Zero(t, w.node.Calls(lightningtest.CancelInvoice))
}

func TestCancelManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	first, second := w.cancelOrder(t, id), w.cancelOrder(t, id)
	require.Empty(t, atOnce(16, func(i int) error {
		_, err := w.CancelCharge(t.Context(), []workflows.CancelCharge{first, second}[i%2])

		return err
	}))
	w.canceled(t, first, 200)
	w.canceled(t, second, 200)
	require.Equal(t, []string{"charge.canceled"}, w.events(t, id))
	w.sound(t)
}

// A cancel, an expiry and a payment at the same time: the node decides, and
// what is said fits what it decided.
func TestCancelRacesMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		id := w.opened(t)
		in := w.cancelOrder(t, id)
		hash := w.hash(t, id)
		require.Empty(t, atOnce(3, func(i int) error {
			switch i {
			case 0:
				_, err := w.CancelCharge(t.Context(), in)

				return err
			case 1:
				if invoice, err := w.node.Settle(hash, 0); err == nil {
					return w.record(t.Context(), invoice)
				}

				return nil
			}

			return w.Settle.Settle(t.Context(), id)
		}))
		state, err := w.SettleCharge(t.Context(), id)
		require.NoError(t, err)
		if w.invoiceState(t, id) == lightning.InvoiceSettled {
			require.Equal(t, payments.ChargePaid, state.Status)
			w.canceled(t, in, 409)
		} else {
			require.Equal(t, payments.ChargeCanceled, state.Status)
			w.canceled(t, in, 200)
		}
		require.Len(t, w.events(t, id), 1)
	}
	require.Zero(t, w.alerts(t, activities.AlertPaidAfterClose))
	w.sound(t)
}

// A node that is known to have gone back in time closes nothing, whatever it
// would answer: expiries wait for the thaw.
func TestExpiryWaitsForTheThaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.opened(t)
	w.makeDue(t, id)
	w.exec(t, "UPDATE node SET regressed_at = now()")
	_, err := w.ExpireCharge(t.Context(), id)
	require.ErrorContains(t, err, "back in time")
	require.Equal(t, payments.ChargePending, w.status(t, id))
	require.Zero(t, w.node.Calls(lightningtest.CancelInvoice), "the node is not asked")
	w.exec(t, "UPDATE node SET regressed_at = NULL")
	_, err = w.ExpireCharge(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, payments.ChargeExpired, w.status(t, id))
}
