package lightning_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/regtest"
)

func TestMain(m *testing.M) { regtest.Main(m) }

// A quick watchdog, so that tests of it do not take a minute.
const (
	watchEvery   = time.Second
	watchTimeout = time.Second
	// watchLimit is what the two allow for, and some more for a slow machine.
	watchLimit = 15 * time.Second
)

// connect connects with macaroons that allow ReceivePermissions and
// SpendPermissions and nothing else, and closes with the test.
func connect(t *testing.T, lnd *regtest.Lnd) lightning.Node {
	t.Helper()
	node, err := lightning.Connect(t.Context(), lnd.Config, lightning.WithWatchdog(watchEvery, watchTimeout))
	require.NoError(t, err)
	t.Cleanup(node.Close)

	return node
}

// subject puts a real merchant under the conformance suite.
func subject(t *testing.T, net *regtest.Net, native bool) lightningtest.Subject {
	t.Helper()

	return lightningtest.Subject{
		Node: connect(t, net.Merchant), NativeSQL: native, Recipient: recipient{net}, Restart: net.RestartMerchant,
		Pay: func(ctx context.Context, bolt11 string, amount payments.Msat) error {
			_, err := net.Pay(ctx, bolt11, amount)

			return err
		},
	}
}

// recipient is the payer, paid by the merchant.
type recipient struct{ net *regtest.Net }

func (r recipient) Invoice(ctx context.Context, amount payments.Msat) (string, error) {
	return r.net.AddInvoice(ctx, amount, time.Hour)
}

func (r recipient) HoldInvoice(
	ctx context.Context, preimage lightning.Preimage, amount payments.Msat,
) (string, error) {
	return r.net.AddHoldInvoice(ctx, preimage.Hash(), amount, time.Hour)
}

func (r recipient) Settle(ctx context.Context, preimage lightning.Preimage) error {
	return r.net.SettleHoldInvoice(ctx, preimage)
}

func (r recipient) Cancel(ctx context.Context, preimage lightning.Preimage) error {
	return r.net.CancelHoldInvoice(ctx, preimage.Hash())
}

// TestConformance runs what the fake is checked with, on both databases, from
// the first invoice and payment on: networks of their own.
func TestConformance(t *testing.T) {
	for name, native := range map[string]bool{"bbolt": false, "native SQL": true} {
		t.Run(name, func(t *testing.T) {
			net := regtest.Start(t, regtest.Options{NativeSQL: native})
			s := subject(t, net, native)
			emptyNode(t, s.Node)
			lightningtest.Conformance(t, s)
		})
	}
}

// emptyNode: before its first invoice lnd on bbolt has another text for
// "not found".
func emptyNode(t *testing.T, node lightning.Node) {
	t.Helper()
	hash := lightning.Preimage{1}.Hash()
	require.ErrorIs(t, node.CancelInvoice(t.Context(), hash), lightning.ErrInvoiceNotFound)
	_, err := node.LookupInvoice(t.Context(), hash)
	require.ErrorIs(t, err, lightning.ErrInvoiceNotFound)
	highest, err := node.HighestIndexes(t.Context())
	require.NoError(t, err)
	require.Zero(t, highest)
	require.NoError(t, node.ListInvoices(t.Context(), 0, 10, func([]lightning.Invoice) error {
		t.Error("a page of nothing")

		return nil
	}))
	_, err = node.TrackPayment(t.Context(), hash)
	require.ErrorIs(t, err, lightning.ErrPaymentNotFound)
	require.NoError(t, node.ListPayments(t.Context(), 0, 10, func([]lightning.Payment) error {
		t.Error("a page of nothing")

		return nil
	}))
	require.ErrorIs(t, lightningtest.Follow(t, node, 0).Stop(), context.Canceled)
}

func TestConnectRefuses(t *testing.T) {
	net := regtest.Shared(t)
	for name, test := range map[string]struct {
		change func(*lightning.Config)
		want   string
	}{
		"another node's pubkey": {func(c *lightning.Config) { c.Pubkey = net.Payer.Config.Pubkey }, "another node answers"},
		"another network":       {func(c *lightning.Config) { c.Network = "mainnet" }, "network mismatch"},
		"unknown network":       {func(c *lightning.Config) { c.Network = "moon" }, "unsupported network"},
		"another certificate":   {func(c *lightning.Config) { c.TLSCertFile = net.Payer.Config.TLSCertFile }, "certificate"},
		"another macaroon":      {func(c *lightning.Config) { c.MacaroonFile = net.Payer.Config.MacaroonFile }, "verification failed"},
		"nothing listens":       {func(c *lightning.Config) { c.Address = "127.0.0.1:1" }, "refused"},
		"no pubkey":             {func(c *lightning.Config) { c.Pubkey = "" }, "node.pubkey is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := net.Merchant.Config
			test.change(&cfg)
			_, err := lightning.Connect(t.Context(), cfg)
			require.ErrorContains(t, err, test.want)
		})
	}
	cfg := net.Merchant.Config
	cfg.Pubkey = strings.ToUpper(cfg.Pubkey)
	node, err := lightning.Connect(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, net.Merchant.Config.Pubkey, node.Pubkey())
	require.Equal(t, "merchant", node.Name())
	node.Close()
}

// TestReceivable compares with lnd's own sum over the channels.
func TestReceivable(t *testing.T) {
	net := regtest.Shared(t)
	got, err := connect(t, net.Merchant).ReceivableMsat(t.Context())
	require.NoError(t, err)
	balance, err := net.Merchant.Lightning.ChannelBalance(t.Context(), &lnrpc.ChannelBalanceRequest{})
	require.NoError(t, err)
	remote := payments.Msat(balance.RemoteBalance.Msat)
	require.Less(t, got, remote)
	// A reserve is one percent of a channel's capacity, and the peer has half.
	require.Greater(t, got, remote*95/100)
}

// TestStopEndsStream: an orderly end of lnd is an end with an error, and the
// cursor finds what came meanwhile.
func TestStopEndsStream(t *testing.T) {
	net := regtest.Shared(t)
	s := subject(t, net, false)
	node := s.Node
	invoice, err := node.AddInvoice(t.Context(), lightning.NewInvoice{
		Preimage: lightning.Preimage{2}, AmountMsat: 1000, Expiry: time.Hour,
	})
	require.NoError(t, err)
	follower := lightningtest.Follow(t, node, 0)
	require.NoError(t, s.Pay(t.Context(), invoice.Bolt11, 0))
	cursor := follower.Next().SettleIndex

	require.NoError(t, net.StopMerchant(t.Context()))
	t.Logf("stopped: %v", follower.Ended(watchLimit))
	_, err = node.LookupInvoice(t.Context(), invoice.PaymentHash)
	require.Error(t, err)
	require.NotErrorIs(t, err, lightning.ErrInvoiceNotFound, "away is not absent")
	require.Error(t, node.Ready(t.Context()))

	require.NoError(t, net.StartMerchant(t.Context()))
	require.Eventually(t, func() bool { return node.Ready(t.Context()) == nil }, watchLimit, 50*time.Millisecond,
		"gRPC connects again by itself")
	again := lightningtest.Follow(t, node, cursor)
	next, err := node.AddInvoice(t.Context(), lightning.NewInvoice{
		Preimage: lightning.Preimage{3}, AmountMsat: 1000, Expiry: time.Hour,
	})
	require.NoError(t, err)
	require.NoError(t, s.Pay(t.Context(), next.Bolt11, 0))
	require.Equal(t, next.PaymentHash, again.Next().PaymentHash)
}

// TestIdleStreamHasNoHeader pins why onOpen cannot wait for the stream's
// header: lnd sends it with the first message, here that of an added invoice.
func TestIdleStreamHasNoHeader(t *testing.T) {
	net := regtest.Shared(t)
	stream, err := net.Merchant.Lightning.SubscribeInvoices(t.Context(), &lnrpc.InvoiceSubscription{})
	require.NoError(t, err)
	header := make(chan error, 1)
	go func() {
		_, err := stream.Header()
		header <- err
	}()
	select {
	case err := <-header:
		t.Fatalf("a header of an idle stream (%v): onOpen can wait for it now", err)
	case <-time.After(time.Second): // Nothing to wait for: absence is the point.
	}
	_, err = net.Merchant.Lightning.AddInvoice(t.Context(), &lnrpc.Invoice{ValueMsat: 1000})
	require.NoError(t, err)
	select {
	case err := <-header:
		require.NoError(t, err)
	case <-time.After(watchLimit):
		t.Fatal("no header with the first message either")
	}
}

// TestPauseEndsStream is the half-open connection: the kernel acknowledges,
// lnd says nothing, and only the watchdog sees it.
func TestPauseEndsStream(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	follower := lightningtest.Follow(t, node, 0)
	require.NoError(t, net.PauseMerchant(t.Context()))
	began := time.Now()
	err := follower.Ended(watchLimit)
	t.Logf("paused: ended after %s: %v", time.Since(began), err)
	require.ErrorContains(t, err, "does not answer")

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = node.LookupInvoice(ctx, lightning.Preimage{9}.Hash())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, net.ResumeMerchant(t.Context()))
	require.Eventually(t, func() bool { return node.Ready(t.Context()) == nil }, watchLimit, 50*time.Millisecond)
}
