package lightningtest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
)

// payer pays what the bolt11 says, as a stranger would.
func payer(node *lightningtest.Node) func(context.Context, string, payments.Msat) error {
	return func(_ context.Context, bolt11 string, amount payments.Msat) error {
		decoded, err := zpay32.Decode(bolt11, &chaincfg.RegressionNetParams)
		if err != nil {
			return err
		}
		_, err = node.Settle(*decoded.PaymentHash, amount)

		return err
	}
}

// recipient is the outside world.
type recipient struct{ node *lightningtest.Node }

func (r recipient) Invoice(_ context.Context, amount payments.Msat) (string, error) {
	bolt11, _ := r.node.OutsideInvoice(amount, time.Hour)

	return bolt11, nil
}

func (r recipient) HoldInvoice(
	_ context.Context, preimage lightning.Preimage, amount payments.Msat,
) (string, error) {
	bolt11, _ := r.node.OutsideInvoice(amount, time.Hour, lightningtest.WithPreimage(preimage),
		lightningtest.ThatWill(lightningtest.Hold(0), lightningtest.Fail(lightning.ReasonIncorrectDetails)))

	return bolt11, nil
}

func (r recipient) Settle(_ context.Context, preimage lightning.Preimage) error {
	return r.node.SettlePayment(preimage.Hash())
}

func (r recipient) Cancel(_ context.Context, preimage lightning.Preimage) error {
	return r.node.FailPayment(preimage.Hash(), lightning.ReasonIncorrectDetails)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, native := range map[string]bool{"bbolt": false, "native SQL": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := lightningtest.New("fake")
			node.SetNativeSQL(native)
			lightningtest.Conformance(t, lightningtest.Subject{
				Node: node, Pay: payer(node), Recipient: recipient{node}, NativeSQL: native,
				Restart: func(context.Context) error {
					node.Restart()

					return nil
				},
			})
		})
	}
}

// add makes an invoice with a preimage of its own.
func add(t *testing.T, node *lightningtest.Node, number byte) (lightning.Invoice, error) {
	t.Helper()

	return node.AddInvoice(t.Context(), lightning.NewInvoice{
		Preimage: lightning.Preimage{number}, AmountMsat: 1000, Expiry: time.Hour,
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	node.Inject(lightningtest.AddInvoice, lightningtest.FailBefore, lightningtest.FailAfter)
	_, err := add(t, node, 1)
	require.ErrorIs(t, err, lightningtest.ErrLost)
	_, err = node.LookupInvoice(t.Context(), lightning.Preimage{1}.Hash())
	require.ErrorIs(t, err, lightning.ErrInvoiceNotFound, "no effect")
	_, err = add(t, node, 1)
	require.ErrorIs(t, err, lightningtest.ErrLost)
	_, err = add(t, node, 1)
	require.ErrorIs(t, err, lightning.ErrInvoiceExists, "only the answer was lost")

	for _, fault := range []lightningtest.Fault{lightningtest.HangBefore, lightningtest.HangAfter} {
		node.Inject(lightningtest.CancelInvoice, fault)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		require.ErrorIs(t, node.CancelInvoice(ctx, lightning.Preimage{1}.Hash()), context.DeadlineExceeded)
		cancel()
		found, err := node.LookupInvoice(t.Context(), lightning.Preimage{1}.Hash())
		require.NoError(t, err)
		require.Equal(t, fault == lightningtest.HangAfter, found.State == lightning.InvoiceCanceled)
	}

	node.SetUnavailable(true)
	require.ErrorIs(t, node.Ready(t.Context()), lightningtest.ErrLost)
	node.SetUnavailable(false)
	require.NoError(t, node.Ready(t.Context()))
	require.Equal(t, 2, node.Calls(lightningtest.Ready))
}

func TestStreamFaults(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	settle := func(number byte) lightning.Invoice {
		invoice, err := add(t, node, number)
		require.NoError(t, err)
		invoice, err = node.Settle(invoice.PaymentHash, 0)
		require.NoError(t, err)

		return invoice
	}
	first := settle(1)
	follower := lightningtest.Follow(t, node, first.SettleIndex)

	node.SetDuplicates(1)
	second := settle(2)
	require.Equal(t, second, follower.Next())
	require.Equal(t, second, follower.Next(), "twice")
	node.SetDuplicates(0)

	node.Hold()
	third, fourth := settle(3), settle(4)
	node.Release(slices.Reverse)
	require.Equal(t, fourth, follower.Next(), "reordered")
	require.Equal(t, third, follower.Next())

	node.SettleHashless()
	fifth := settle(5)
	require.Equal(t, fourth.SettleIndex+2, fifth.SettleIndex)
	require.Equal(t, fifth, follower.Next(), "a hashless receipt is skipped")

	node.BreakStreams()
	require.ErrorIs(t, follower.Ended(time.Minute), lightningtest.ErrLost)
}

func TestCursorInGapLosesOne(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	node.SkipSettleIndexes(5)
	for number := range byte(2) {
		invoice, err := add(t, node, number+1)
		require.NoError(t, err)
		_, err = node.Settle(invoice.PaymentHash, 0)
		require.NoError(t, err)
	}
	require.EqualValues(t, 7, lightningtest.Follow(t, node, 3).Next().SettleIndex, "bbolt loses 6")
	node.SetNativeSQL(true)
	require.EqualValues(t, 6, lightningtest.Follow(t, node, 3).Next().SettleIndex)
}

func TestRestoreGoesBackInTime(t *testing.T) {
	t.Parallel()
	node := lightningtest.New("fake")
	past := node.Snapshot()
	_, err := add(t, node, 1)
	require.NoError(t, err)
	follower := lightningtest.Follow(t, node, 0)
	node.Restore(past)
	require.ErrorIs(t, follower.Ended(time.Minute), lightningtest.ErrLost)
	highest, err := node.HighestIndexes(t.Context())
	require.NoError(t, err)
	require.Zero(t, highest)
	again, err := add(t, node, 2)
	require.NoError(t, err)
	require.EqualValues(t, 1, again.AddIndex, "handed out again")
}
