package lightningtest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
)

// patience is how long the suite waits for what must happen.
const patience = 30 * time.Second

// Subject is a node under the conformance suite.
type Subject struct {
	Node lightning.Node
	// Pay pays an invoice of the node; an amount of 0 is the invoice's own.
	Pay func(ctx context.Context, bolt11 string, amount payments.Msat) error
	// Recipient is somebody whom the node can pay, without a fee.
	Recipient Recipient
	// Restart ends the node, starts it again and waits until it is useful.
	Restart func(ctx context.Context) error
	// NativeSQL says that the backlog comes in add order.
	NativeSQL bool
}

// Recipient makes invoices that the node pays.
type Recipient interface {
	// Invoice is an ordinary one; an amount of 0 names none.
	Invoice(ctx context.Context, amount payments.Msat) (bolt11 string, err error)
	// HoldInvoice is one whose payment stays out until Settle or Cancel.
	HoldInvoice(ctx context.Context, preimage lightning.Preimage, amount payments.Msat) (bolt11 string, err error)
	Settle(ctx context.Context, preimage lightning.Preimage) error
	Cancel(ctx context.Context, preimage lightning.Preimage) error
}

// Conformance checks what the rest of the system believes about a node. It is
// run against Node and against real lnd, so that the one does not lie about
// the other. The node must not be used by anybody else meanwhile.
func Conformance(t *testing.T, subject Subject) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Subject){
		"add":                  testAdd,
		"add twice":            testAddTwice,
		"lookup unknown":       testLookupUnknown,
		"cancel":               testCancel,
		"overpay":              testOverpay,
		"list pages":           testList,
		"highest indexes":      testHighestIndexes,
		"receivable and ready": testReceivable,
		"balances":             testBalances,
		"stream: live":         testLive,
		"stream: cursor 0":     testCursorZero,
		"stream: backlog":      testBacklog,
		"stream: high cursor":  testHighCursor,
		"stream: order":        testBacklogOrder,
		"stream: handler ends": testHandlerEnds,
		"stream: context ends": testContextEnds,
		"ended context":        testEndedContext,

		"send":                  testSend,
		"send: amountless":      testSendAmountless,
		"send: no route":        testSendNoRoute,
		"send: refused":         testSendRefused,
		"send: again":           testSendAgain,
		"send: held, settled":   testSendHeldSettled,
		"send: held, cancelled": testSendHeldCancelled,
		"send: context ends":    testSendContextEnds,
		"track unknown":         testTrackUnknown,
		"HTLCs":                 testHTLCs,
		"list payments":         testListPayments,
		"payment stream":        testPaymentStream,
		"estimate":              testEstimate,
		"highest payment":       testHighestPayment,
		"steady":                testSteady,
	} {
		t.Run(name, func(t *testing.T) { test(t, subject) })
	}
}

// amount is what the suite's invoices ask for.
const amount = 21_000 * payments.MsatPerSat / 10

// preimage makes a fresh one.
func preimage(t *testing.T) lightning.Preimage {
	t.Helper()
	var p lightning.Preimage
	_, err := rand.Read(p[:])
	require.NoError(t, err)

	return p
}

// add makes an invoice.
func (s Subject) add(t *testing.T) lightning.Invoice {
	t.Helper()
	invoice, err := s.Node.AddInvoice(t.Context(), lightning.NewInvoice{
		Preimage: preimage(t), AmountMsat: amount, Description: "conformance", Expiry: time.Hour,
	})
	require.NoError(t, err)

	return invoice
}

// paid makes an invoice that is paid, and reads it back.
func (s Subject) paid(t *testing.T) lightning.Invoice {
	t.Helper()

	return s.pay(t, s.add(t))
}

// pay pays an invoice and reads it back. lnd settles before the payer knows.
func (s Subject) pay(t *testing.T, invoice lightning.Invoice) lightning.Invoice {
	t.Helper()
	require.NoError(t, s.Pay(t.Context(), invoice.Bolt11, 0))
	paid, err := s.Node.LookupInvoice(t.Context(), invoice.PaymentHash)
	require.NoError(t, err)
	require.Equal(t, lightning.InvoiceSettled, paid.State)

	return paid
}

func testAdd(t *testing.T, s Subject) {
	p := preimage(t)
	added, err := s.Node.AddInvoice(t.Context(), lightning.NewInvoice{
		Preimage: p, AmountMsat: 1_234_567, Description: "a cup of coffee", Expiry: 90 * time.Second,
	})
	require.NoError(t, err)
	require.Equal(t, p.Hash(), added.PaymentHash)
	require.NotZero(t, added.AddIndex)
	require.Equal(t, added.CreatedAt.Add(90*time.Second), added.ExpiresAt)
	require.WithinDuration(t, time.Now(), added.CreatedAt, patience)

	found, err := s.Node.LookupInvoice(t.Context(), p.Hash())
	require.NoError(t, err)
	require.Equal(t, added, found)
	require.Zero(t, found.SettledAt)

	for _, wrong := range []lightning.NewInvoice{
		{Preimage: preimage(t), AmountMsat: 0, Expiry: time.Hour},
		{Preimage: preimage(t), AmountMsat: -1, Expiry: time.Hour},
		{Preimage: preimage(t), AmountMsat: 1000},
	} {
		_, err := s.Node.AddInvoice(t.Context(), wrong)
		require.Error(t, err)
	}
}

func testAddTwice(t *testing.T, s Subject) {
	states := map[lightning.InvoiceState]func(lightning.Invoice) error{
		lightning.InvoiceOpen:     func(lightning.Invoice) error { return nil },
		lightning.InvoiceSettled:  func(i lightning.Invoice) error { return s.Pay(t.Context(), i.Bolt11, 0) },
		lightning.InvoiceCanceled: func(i lightning.Invoice) error { return s.Node.CancelInvoice(t.Context(), i.PaymentHash) },
	}
	for state, reach := range states {
		want := lightning.NewInvoice{Preimage: preimage(t), AmountMsat: amount, Expiry: time.Hour}
		first, err := s.Node.AddInvoice(t.Context(), want)
		require.NoError(t, err)
		require.NoError(t, reach(first))
		_, err = s.Node.AddInvoice(t.Context(), want)
		require.ErrorIs(t, err, lightning.ErrInvoiceExists, state)
		found, err := s.Node.LookupInvoice(t.Context(), want.Preimage.Hash())
		require.NoError(t, err)
		require.Equal(t, state, found.State)
		require.Equal(t, first.Bolt11, found.Bolt11)
		require.Equal(t, first.AddIndex, found.AddIndex)
	}
}

func testLookupUnknown(t *testing.T, s Subject) {
	_, err := s.Node.LookupInvoice(t.Context(), preimage(t).Hash())
	require.ErrorIs(t, err, lightning.ErrInvoiceNotFound)
}

func testCancel(t *testing.T, s Subject) {
	open := s.add(t)
	require.NoError(t, s.Node.CancelInvoice(t.Context(), open.PaymentHash))
	require.NoError(t, s.Node.CancelInvoice(t.Context(), open.PaymentHash), "a second time")
	found, err := s.Node.LookupInvoice(t.Context(), open.PaymentHash)
	require.NoError(t, err)
	require.Equal(t, lightning.InvoiceCanceled, found.State)
	require.Error(t, s.Pay(t.Context(), open.Bolt11, 0), "a canceled invoice cannot be paid")

	require.ErrorIs(t, s.Node.CancelInvoice(t.Context(), s.paid(t).PaymentHash), lightning.ErrInvoiceSettled)
	require.ErrorIs(t, s.Node.CancelInvoice(t.Context(), preimage(t).Hash()), lightning.ErrInvoiceNotFound)
}

func testOverpay(t *testing.T, s Subject) {
	invoice := s.add(t)
	require.NoError(t, s.Pay(t.Context(), invoice.Bolt11, amount+777))
	found, err := s.Node.LookupInvoice(t.Context(), invoice.PaymentHash)
	require.NoError(t, err)
	require.Equal(t, lightning.InvoiceSettled, found.State)
	require.Equal(t, amount, found.ValueMsat)
	require.Equal(t, amount+777, found.AmtPaidMsat)
	require.NotZero(t, found.SettleIndex)
	require.WithinDuration(t, time.Now(), found.SettledAt, patience)
}

func testList(t *testing.T, s Subject) {
	var want []lightning.Invoice
	for range 5 {
		want = append(want, s.add(t))
	}
	list := func(from, size uint64) (all []lightning.Invoice, pages int) {
		require.NoError(t, s.Node.ListInvoices(t.Context(), from, size, func(page []lightning.Invoice) error {
			require.LessOrEqual(t, uint64(len(page)), size)
			all, pages = append(all, page...), pages+1

			return nil
		}))

		return all, pages
	}
	got, pages := list(want[0].AddIndex, 2)
	require.Equal(t, want, got)
	require.Equal(t, 3, pages)
	got, _ = list(want[3].AddIndex, 100)
	require.Equal(t, want[3:], got, "the start is included")
	got, _ = list(want[4].AddIndex+1, 100)
	require.Empty(t, got)
	got, _ = list(0, 100)
	require.Equal(t, want[4], got[len(got)-1])

	stop := errors.New("stop")
	require.ErrorIs(t, s.Node.ListInvoices(t.Context(), 0, 1, func([]lightning.Invoice) error { return stop }), stop)
}

func testHighestIndexes(t *testing.T, s Subject) {
	paid, last := s.paid(t), s.add(t)
	highest, err := s.Node.HighestIndexes(t.Context())
	require.NoError(t, err)
	highest.Payment = 0
	require.Equal(t, lightning.Indexes{Add: last.AddIndex, Settle: paid.SettleIndex}, highest)
}

// testBalances checks that the node has something in its channels and that
// nothing is below zero.
func testBalances(t *testing.T, s Subject) {
	has, err := s.Node.Balances(t.Context())
	require.NoError(t, err)
	require.Positive(t, has.LocalMsat)
	for _, part := range []payments.Msat{has.IncomingMsat, has.OutgoingMsat, has.OpeningMsat, has.ClosingMsat, has.OnChainMsat} {
		require.GreaterOrEqual(t, part, payments.Msat(0))
	}
	require.GreaterOrEqual(t, has.TotalMsat(), has.LocalMsat)
}

func testReceivable(t *testing.T, s Subject) {
	require.NoError(t, s.Node.Ready(t.Context()))
	health, err := s.Node.Health(t.Context())
	require.NoError(t, err)
	require.True(t, health.SyncedToChain)
	require.Positive(t, health.BlockHeight)
	require.Positive(t, health.ActiveChannels)
	receivable, err := s.Node.ReceivableMsat(t.Context())
	require.NoError(t, err)
	require.Positive(t, receivable)
}

func testEndedContext(t *testing.T, s Subject) {
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := s.Node.LookupInvoice(ended, preimage(t).Hash())
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Node.CancelInvoice(ended, preimage(t).Hash()), context.Canceled)
}
