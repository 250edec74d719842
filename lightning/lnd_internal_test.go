package lightning

import (
	"context"
	"errors"
	"testing"

	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
)

// TestConfigConverts keeps Config the twin of config.Node.
func TestConfigConverts(t *testing.T) {
	t.Parallel()
	require.Equal(t, "n", Config(config.Node{Name: "n"}).Name)
}

// TestTexts fails when an upgrade of lnd changes the texts that errors are
// told apart by.
func TestTexts(t *testing.T) {
	t.Parallel()
	require.Equal(t, textDuplicate, invoices.ErrDuplicateInvoice.Error())
	require.Equal(t, textNotFound, invoices.ErrInvoiceNotFound.Error())
	require.Equal(t, textNoInvoices, invoices.ErrNoInvoicesCreated.Error())
	require.Equal(t, textAlreadySettled, invoices.ErrInvoiceAlreadySettled.Error())
	require.Equal(t, textAlreadyCanceled, invoices.ErrInvoiceAlreadyCanceled.Error())
}

func TestSaysAny(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		says bool
	}{
		{status.Error(codes.Unknown, textNotFound), true},
		{status.Error(codes.NotFound, textNotFound), true},
		{status.Error(codes.Unknown, "failed: "+textNotFound), true},
		{status.Error(codes.Unavailable, textNotFound), false},
		{status.Error(codes.DeadlineExceeded, textNotFound), false},
		{status.Error(codes.Unknown, textNotFound+" in time"), false},
		{errors.New(textNotFound), false},
		{nil, false},
	} {
		require.Equal(t, test.says, saysAny(test.err, textNoInvoices, textNotFound), "%v", test.err)
	}
}

func TestCallErrorMatchesContextErrors(t *testing.T) {
	t.Parallel()
	node := &lnd{name: "n"}
	require.ErrorIs(t, node.unknown("X", status.Error(codes.DeadlineExceeded, "late")), context.DeadlineExceeded)
	require.ErrorIs(t, node.unknown("X", status.Error(codes.Canceled, "gone")), context.Canceled)
	require.ErrorIs(t, node.unknown("X", context.Canceled), context.Canceled)
	plain := node.unknown("X", status.Error(codes.Unknown, "y"))
	require.NotErrorIs(t, plain, context.Canceled)
	require.NotErrorIs(t, plain, context.DeadlineExceeded)
}

// TestFromRPCSkips is the tolerant reader: nothing foreign ends a stream.
func TestFromRPCSkips(t *testing.T) {
	t.Parallel()
	hash := make([]byte, 32)
	for name, rpc := range map[string]*lnrpc.Invoice{
		"nil":             nil,
		"hashless AMP":    {State: lnrpc.Invoice_SETTLED, IsAmp: true},
		"AMP with a hash": {RHash: hash, State: lnrpc.Invoice_SETTLED, IsAmp: true},
		"short hash":      {RHash: hash[:31]},
		"unknown state":   {RHash: hash, State: 99},
	} {
		_, ok := fromRPC(rpc)
		require.False(t, ok, name)
	}
	invoice, ok := fromRPC(&lnrpc.Invoice{RHash: hash, State: lnrpc.Invoice_SETTLED, SettleDate: 60, AmtPaidMsat: 7})
	require.True(t, ok)
	require.Equal(t, payments.Msat(7), invoice.AmtPaidMsat)
	require.EqualValues(t, 60, invoice.SettledAt.Unix())
}

func TestReceivableSums(t *testing.T) {
	t.Parallel()
	channel := func(active bool, remote int64, reserve uint64) *lnrpc.Channel {
		return &lnrpc.Channel{
			Active: active, RemoteBalance: remote,
			RemoteConstraints: &lnrpc.ChannelConstraints{ChanReserveSat: reserve},
		}
	}
	require.Equal(t, 990*payments.MsatPerSat, receivable([]*lnrpc.Channel{
		channel(true, 1000, 10), channel(false, 5000, 10), channel(true, 5, 10), {Active: true},
	}))
	require.Zero(t, receivable(nil))
}
