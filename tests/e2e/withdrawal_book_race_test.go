package e2e_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/suite"
)

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
	payer.Fund(t, 2000)
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
	payer.RequireBalance(t, int64(2_000_000-outcomes[byBook]*amount), 0)
	payee.RequireBalance(t, int64(count*amount), 0)
	require.Len(t, payee.Transfers(t), count)
	require.Len(t, payee.Events(t), count)
	payer.Agrees(t)
	payee.Agrees(t)
}

// lateRace is a race in which the payment arrives after the book transfer has
// claimed the charge and before it cancels the invoice.
func lateRace(t *testing.T, payer, payee *client) string {
	t.Helper()
	charge := payee.Charge(t, 50, "")
	hash, err := suite.HashOf(suite.Text(charge, "bolt11"))
	require.NoError(t, err)
	var once sync.Once
	outside := make(chan error, 1)
	payee.OnCancel(hash, func(ctx context.Context, node lightning.Node, hash lightning.Hash) error {
		once.Do(func() {
			_, err := payee.Net.Pay(t.Context(), suite.Text(charge, "bolt11"), 0)
			outside <- err
		})

		return node.CancelInvoice(ctx, hash)
	})
	status, answer := payer.Ask(t, suite.Text(charge, "bolt11"), "")

	return outcome(t, payer, payee, charge, <-outside, status, answer)
}

// race is one race, in which the book transfer starts after a delay; it tells
// who won, and how the other took it.
func race(t *testing.T, payer, payee *client, delay time.Duration) string {
	t.Helper()
	charge := payee.Charge(t, 50, "")
	var outside error
	var status int
	var answer suite.Object
	var group sync.WaitGroup
	group.Go(func() {
		_, outside = payee.Net.Pay(t.Context(), suite.Text(charge, "bolt11"), 0)
	})
	group.Go(func() {
		time.Sleep(delay)
		status, answer = payer.Ask(t, suite.Text(charge, "bolt11"), "")
	})
	group.Wait()

	return outcome(t, payer, payee, charge, outside, status, answer)
}

// outcome tells how a race has ended, in which the outside payer and the book
// transfer were told so.
func outcome(t *testing.T, payer, payee *client, charge suite.Object, outside error, status int, answer suite.Object) string {
	t.Helper()
	require.Equal(t, "paid", payee.Await(t, suite.Text(charge, "id"))["status"])
	payee.RequireClosed(t, suite.Text(charge, "id"))
	state := payee.Invoice(t, charge).GetState()
	if outside == nil {
		require.Equal(t, lnrpc.Invoice_SETTLED, state)
		if status != http.StatusCreated {
			require.EqualValues(t, payments.CodeInvoiceInvalid, answer["code"], answer)

			return bookRefused
		}
		payer.OverAs(t, suite.Text(answer, "id"), 20*time.Second, payments.FailurePaidElsewhere)

		return byPayment
	}
	require.Equal(t, lnrpc.Invoice_CANCELED, state, outside)
	require.Equal(t, http.StatusCreated, status, answer)
	payer.OverAs(t, suite.Text(answer, "id"), 20*time.Second, "")

	return byBook
}
