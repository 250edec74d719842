package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// riddle is a book transfer that cannot be what the rows say, which nothing in
// the product makes: somebody wrote in the database, or a key is wrong.
type riddle struct {
	// spoil comes before the transfer, meddle between the node's cancel and the
	// booking.
	spoil, meddle string
	reason        string
	// repair makes a retry succeed; "" if nothing can.
	repair string
}

func riddles() map[string]riddle {
	const claimed = "UPDATE charge SET settling_by = (SELECT id FROM withdrawal)"

	return map[string]riddle{
		"the charge is not claimed": {
			spoil: "UPDATE charge SET settling_by = NULL", reason: "is pending and not claimed by this book transfer", repair: claimed,
		},
		"the charge is another's": {
			spoil: "UPDATE charge SET settling_by = 'wd_another'", reason: "is pending and not claimed by this book transfer", repair: claimed,
		},
		"the charge expired under the claim": {
			spoil: "UPDATE charge SET status = 'expired', closed_at = now(), next_check_at = NULL", reason: "is expired and not claimed",
		},
		"the charge is paid, and nobody paid the node": {
			spoil: `UPDATE charge SET status = 'paid', amount_paid_msat = amount_msat, paid_at = now(), closed_at = now(),
				next_check_at = NULL`, reason: "is paid, and the node canceled its invoice",
		},
		"the preimage is another's": {
			spoil: "UPDATE withdrawal SET payment_hash = sha256('x')", reason: "preimage does not give the payment hash",
			repair: "UPDATE withdrawal SET payment_hash = (SELECT payment_hash FROM charge)",
		},
		"the charge leaves its claim meanwhile": {
			meddle: "UPDATE charge SET settling_by = NULL", reason: "left its claim while it was being paid", repair: claimed,
		},
		"the charge is closed meanwhile": {
			meddle: "UPDATE charge SET status = 'canceled', closed_at = now(), next_check_at = NULL", reason: "left its claim",
		},
	}
}

// pose has a book transfer run into a riddle.
func (w *world) pose(t *testing.T, r riddle) (id, chargeID, payer string) {
	t.Helper()
	id, chargeID, payer = w.book(t)
	if r.spoil != "" {
		w.exec(t, r.spoil)
	}
	if r.meddle != "" {
		w.Node = &meddler{Node: w.node, afterCancel: func() { w.exec(t, r.meddle) }}
	}
	require.Equal(t, workflows.StepWait, w.settleByBook(t, id).Next)
	w.Node = w.node

	return id, chargeID, payer
}

// A book transfer that makes no sense is for an operator: nothing moves, he is
// told once, and nothing automatic happens until he has decided.
func TestBookTransferUnderReview(t *testing.T) {
	t.Parallel()
	for name, r := range riddles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, chargeID, payer := w.pose(t, r)
			calls := w.node.Calls(lightningtest.CancelInvoice)
			require.Equal(t, workflows.StepWait, w.settleByBook(t, id).Next)
			require.Equal(t, calls, w.node.Calls(lightningtest.CancelInvoice), "the node is not asked again")
			row := w.payout(t, id)
			require.Equal(t, "held", row.Status)
			require.Contains(t, *row.ReviewReason, r.reason)
			require.Nil(t, row.NextCheckAt)
			require.Equal(t, 1, w.alerts(t, activities.AlertUnderReview))
			require.Empty(t, append(w.events(t, id), w.events(t, chargeID)...))
			w.books(t, payer, 0, amount)
			w.books(t, w.workspace, 0, 0)
		})
	}
}

// What operators may do about it: a post is refused, a void returns the payer's
// money and gives the charge back, a retry starts from the rows.
func TestResolveBookTransfer(t *testing.T) {
	t.Parallel()
	for name, r := range riddles() {
		for action, check := range map[string]func(t *testing.T, w *world, id, chargeID, payer string){
			"post": func(t *testing.T, w *world, id, _, payer string) {
				outcome, detail := w.resolve(t, id, "post")
				require.Equal(t, "refused", outcome)
				require.Contains(t, detail, "use retry")
				require.NotNil(t, w.payout(t, id).ReviewReason)
				w.books(t, payer, 0, amount)
			},
			"void": func(t *testing.T, w *world, id, chargeID, payer string) {
				outcome, detail := w.resolve(t, id, "void")
				require.Equal(t, "applied", outcome, detail)
				w.failed(t, id, payments.FailurePaidElsewhere)
				w.books(t, payer, amount, 0)
				w.books(t, w.workspace, 0, 0)
				require.NotEqual(t, &id, w.row(t, chargeID).SettlingBy)
				state, err := w.payouts.LookAtWithdrawal(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, chargeID, state.ChargeID, "the charge's run is nudged")
				w.settleByBook(t, id) // Over.
				w.books(t, payer, amount, 0)
			},
			"retry": func(t *testing.T, w *world, id, _, payer string) {
				outcome, detail := w.resolve(t, id, "retry")
				require.Equal(t, "applied", outcome, detail)
				require.NotNil(t, w.payout(t, id).NextCheckAt)
				if r.spoil != "" {
					require.Equal(t, workflows.StepWait, w.settleByBook(t, id).Next, "nothing was repaired")
					require.Equal(t, 2, w.alerts(t, activities.AlertUnderReview))
				}
				w.books(t, payer, 0, amount)
			},
			"repair and retry": func(t *testing.T, w *world, id, chargeID, payer string) {
				w.exec(t, r.repair)
				_, _ = w.resolve(t, id, "retry")
				w.settleByBook(t, id)
				w.succeeded(t, id, 0)
				require.Equal(t, payments.ChargePaid, w.status(t, chargeID))
				w.books(t, payer, 0, 0)
				w.books(t, w.workspace, amount, 0)
			},
		} {
			if r.repair == "" && action == "repair and retry" {
				continue
			}
			t.Run(name+"/"+action, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				id, chargeID, payer := w.pose(t, r)
				check(t, w, id, chargeID, payer)
			})
		}
	}
}

// A book transfer may be voided in the middle, whatever has happened to it:
// there is one end, and the charge can still be paid.
func TestVoidBookTransferUnderWay(t *testing.T) {
	t.Parallel()
	void := func(t *testing.T, w *world, id string) {
		t.Helper()
		outcome, detail := w.resolve(t, id, "void")
		require.Equal(t, "applied", outcome, detail)
	}
	for name, arrange := range map[string]func(t *testing.T, w *world, id string){
		"before the node was asked": void,
		"the invoice is canceled": func(t *testing.T, w *world, id string) {
			heal := w.breakTable(t, "charge", "UPDATE", "NEW.status = 'paid'")
			_, err := w.payouts.SettleByBook(t.Context(), id)
			require.Error(t, err)
			heal()
			void(t, w, id)
		},
		"between cancel and booking": func(t *testing.T, w *world, id string) {
			w.Node = &meddler{Node: w.node, afterCancel: func() { void(t, w, id) }}
			require.Equal(t, payments.WithdrawalFailed, w.settleByBook(t, id).Status)
			w.Node = w.node
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, chargeID, payer := w.book(t)
			arrange(t, w, id)
			w.failed(t, id, payments.FailurePaidElsewhere)
			w.books(t, payer, amount, 0)
			require.Equal(t, payments.ChargePending, w.status(t, chargeID))
			require.Nil(t, w.row(t, chargeID).SettlingBy)
			payee := w.workspace
			w.workspace = payer
			again := w.hold(t, w.ofCharge(t, chargeID))
			w.settleByBook(t, again)
			w.succeeded(t, again, 0)
			w.books(t, payer, 0, 0)
			w.books(t, payee, amount, 0)
		})
	}
}

// While the node of the charge is back in time a book transfer is not voided.
func TestVoidBookTransferOfANodeBackInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chargeID, payer := w.book(t)
	w.exec(t, "UPDATE node SET regressed_at = now()")
	state := w.settleByBook(t, id)
	require.Equal(t, workflows.StepBook, state.Next)
	require.Contains(t, state.Note, "back in time")
	outcome, detail := w.resolve(t, id, "void")
	require.Equal(t, "refused", outcome)
	require.Contains(t, detail, "back in time")
	require.Equal(t, &id, w.row(t, chargeID).SettlingBy)
	w.books(t, payer, 0, amount)
}

// A success that cannot be the withdrawal's is not posted for an operator
// either, nor voided: the money went somewhere. Of another amount, and once it is
// under review, it can be given up (TestWrongAmountIsGivenUp).
func TestResolveImpossibleSuccess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*lightning.Payment)
		why  string
	}{
		"another amount":   {func(p *lightning.Payment) { p.ValueMsat++ }, "the node paid 21001 msat instead of 21000"},
		"another preimage": {func(p *lightning.Payment) { p.Preimage[0]++ }, "the node's preimage does not give the payment hash"},
	} {
		for _, review := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				id, hash := w.lost(t, lightningtest.FailAfter, lightningtest.Succeed(0))
				w.node.EditPayment(hash, c.edit)
				if review {
					w.follow(t, id)
					require.Equal(t, c.why, *w.payout(t, id).ReviewReason)
				}
				w.pass(t, id, settledTime)
				outcome, detail := w.resolve(t, id, "post")
				require.Equal(t, "refused", outcome)
				require.Equal(t, c.why, detail)
				require.Equal(t, "following", w.payout(t, id).Status)
				if w.payout(t, id).ReviewReason == nil || name == "another preimage" {
					outcome, detail = w.resolve(t, id, "void")
					require.Equal(t, "refused", outcome)
					require.Contains(t, detail, "succeeded")
				}
				w.books(t, w.workspace, 0, amount+maxFee)
			})
		}
	}
}
