package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// One workspace pays another's charge: no payment leaves the node.
func TestBookTransfer(t *testing.T) {
	t.Parallel()
	payer, payee := newClient(t), newClient(t)
	payer.fund(t, 100)
	url, got := receive(t)
	payee.subscribe(t, url)
	charge := payee.charge(t, 30, "")
	began := time.Now()
	accepted := payer.withdraw(t, "LIGHTNING:"+strings.ToUpper(text(charge, "bolt11")), "")
	require.EqualValues(t, 0, accepted["max_fee_msat"], "a book transfer has no fee, so none is locked")
	withdrawal := payer.overAs(t, text(accepted, "id"), 20*time.Second, "")
	t.Logf("succeeded after %s", time.Since(began))
	require.EqualValues(t, 0, withdrawal["fee_msat"])
	requirePreimage(t, withdrawal)
	paid := payee.await(t, text(charge, "id"))
	require.Equal(t, "paid", paid["status"])
	require.EqualValues(t, 30_000, paid["amount_paid_msat"])
	require.Equal(t, lnrpc.Invoice_CANCELED, payee.invoice(t, charge).GetState())
	_, err := payer.Net.Pay(t.Context(), text(charge, "bolt11"), 0)
	require.Error(t, err, "what is paid cannot be paid again")
	payer.requireBalance(t, 70_000, 0)
	payee.requireBalance(t, 30_000, 0)
	require.Equal(t, []string{"charge_settled 100000", "withdrawal_lock 30000", "withdrawal_book 30000"}, payer.transfers(t))
	require.Equal(t, []string{"charge_settled 30000"}, payee.transfers(t))
	require.Equal(t, []string{"charge.paid", "withdrawal.succeeded"}, payer.events(t))
	require.Equal(t, []string{"charge.paid"}, payee.events(t))
	var event object
	require.NoError(t, json.Unmarshal(next(t, got).body, &event))
	require.Equal(t, "charge.paid", event["type"])
	t.Logf("%d state transitions of the withdrawal, %d of the charge",
		payer.requireEnded(t, "withdrawal/"+text(accepted, "id")), payee.requireClosed(t, text(charge, "id")))
	payer.refused(t, text(charge, "bolt11"), "", http.StatusConflict, payments.CodeDuplicatePayment)
	payer.agrees(t)
	payee.agrees(t)
}

func TestBookTransferToOneself(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.fund(t, 100)
	charge := c.charge(t, 30, "")
	withdrawal := c.withdraw(t, text(charge, "bolt11"), "")
	c.overAs(t, text(withdrawal, "id"), 20*time.Second, "")
	require.Equal(t, "paid", c.await(t, text(charge, "id"))["status"])
	c.requireBalance(t, 100_000, 0)
	require.Equal(t, []string{
		"charge_settled 100000", "withdrawal_lock 30000", "withdrawal_book 30000", "charge_settled 30000",
	}, c.transfers(t))
	require.ElementsMatch(t, []string{"charge.paid", "charge.paid", "withdrawal.succeeded"}, c.events(t))
	c.requireClosed(t, text(charge, "id"))
	c.agrees(t)
}

// The outcomes of a race for a charge.
const (
	byBook      = "book"
	byPayment   = "payment, book paid_elsewhere"
	bookRefused = "payment, book refused"
)

// An outside payer and a book transfer want the same charge: exactly one gets
// it, and the other keeps his money.
func TestBookTransferRacesAPayment(t *testing.T) {
	t.Parallel()
	payer, payee := newClient(t), newClient(t)
	payer.fund(t, 2000)
	const races, most, amount = 10, 30, 50_000
	outcomes := map[string]int{}
	// The later one starts, the earlier the other wins: the delay closes in on
	// where it is undecided. Without one the book transfer wins.
	delay, step, count := 200*time.Millisecond, 100*time.Millisecond, 0
	for ; count < races || outcomes[byBook] == 0; count++ {
		require.Less(t, count, most, "%v", outcomes)
		outcome := race(t, payer, payee, delay)
		if outcomes[outcome]++; outcome == byBook {
			delay += step
		} else {
			delay -= min(step, delay)
		}
		step = max(step/2, 5*time.Millisecond)
	}
	t.Logf("%v", outcomes)
	// That the payment comes between the claim and the cancellation is left to
	// no chance.
	outcomes[lateRace(t, payer, payee)]++
	count++
	require.Positive(t, outcomes[byPayment])
	payer.requireBalance(t, int64(2_000_000-outcomes[byBook]*amount), 0)
	payee.requireBalance(t, int64(count*amount), 0)
	require.Len(t, payee.transfers(t), count)
	require.Len(t, payee.events(t), count)
	payer.agrees(t)
	payee.agrees(t)
}

// lateRace is a race in which the payment arrives after the book transfer has
// claimed the charge and before it cancels the invoice.
func lateRace(t *testing.T, payer, payee *client) string {
	t.Helper()
	charge := payee.charge(t, 50, "")
	hash, err := hashOf(text(charge, "bolt11"))
	require.NoError(t, err)
	var once sync.Once
	outside := make(chan error, 1)
	payee.OnCancel(hash, func(ctx context.Context, node lightning.Node, hash lightning.Hash) error {
		once.Do(func() {
			_, err := payee.Net.Pay(t.Context(), text(charge, "bolt11"), 0)
			outside <- err
		})

		return node.CancelInvoice(ctx, hash)
	})
	status, answer := payer.ask(t, text(charge, "bolt11"), "")

	return outcome(t, payer, payee, charge, <-outside, status, answer)
}

// race is one race, in which the book transfer starts after a delay; it tells
// who won, and how the other took it.
func race(t *testing.T, payer, payee *client, delay time.Duration) string {
	t.Helper()
	charge := payee.charge(t, 50, "")
	var outside error
	var status int
	var answer object
	var group sync.WaitGroup
	group.Go(func() {
		_, outside = payee.Net.Pay(t.Context(), text(charge, "bolt11"), 0)
	})
	group.Go(func() {
		time.Sleep(delay)
		status, answer = payer.ask(t, text(charge, "bolt11"), "")
	})
	group.Wait()

	return outcome(t, payer, payee, charge, outside, status, answer)
}

// outcome tells how a race has ended, in which the outside payer and the book
// transfer were told so.
func outcome(t *testing.T, payer, payee *client, charge object, outside error, status int, answer object) string {
	t.Helper()
	require.Equal(t, "paid", payee.await(t, text(charge, "id"))["status"])
	payee.requireClosed(t, text(charge, "id"))
	state := payee.invoice(t, charge).GetState()
	if outside == nil {
		require.Equal(t, lnrpc.Invoice_SETTLED, state)
		if status != http.StatusCreated {
			require.EqualValues(t, payments.CodeInvoiceInvalid, answer["code"], answer)

			return bookRefused
		}
		payer.overAs(t, text(answer, "id"), 20*time.Second, payments.FailurePaidElsewhere)

		return byPayment
	}
	require.Equal(t, lnrpc.Invoice_CANCELED, state, outside)
	require.Equal(t, http.StatusCreated, status, answer)
	payer.overAs(t, text(answer, "id"), 20*time.Second, "")

	return byBook
}
