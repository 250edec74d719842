package lightning_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/regtest"
)

// hinted is an invoice of somebody behind the payer, who takes a fee of 1234
// msat for the way there.
func hinted(t *testing.T, net *regtest.Net, options ...func(*zpay32.Invoice)) string {
	t.Helper()
	via, err := hex.DecodeString(net.Payer.Config.Pubkey)
	require.NoError(t, err)
	viaKey, err := btcec.ParsePubKey(via)
	require.NoError(t, err)
	key, err := btcec.NewPrivateKey()
	require.NoError(t, err)
	hash := sha256.Sum256(key.Serialize())
	features := lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired, lnwire.MPPOptional), lnwire.Features)
	invoice, err := zpay32.NewInvoice(&chaincfg.RegressionNetParams, hash, time.Now(), append(options,
		zpay32.Amount(1_000_000), zpay32.Description("hinted"), zpay32.Features(features),
		zpay32.RouteHint([]zpay32.HopHint{{NodeID: viaKey, ChannelID: 1 << 40, FeeBaseMSat: 1234, CLTVExpiryDelta: 40}}),
	)...)
	require.NoError(t, err)
	bolt11, err := invoice.Encode(zpay32.MessageSigner{SignCompact: func(message []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(message), true), nil
	}})
	require.NoError(t, err)

	return bolt11
}

func TestEstimateFollowsRouteHints(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	request := lightning.RouteRequest{
		Bolt11: hinted(t, net, zpay32.PaymentAddr([32]byte{1})), AmountMsat: 2000, CLTVLimit: 1008,
	}
	fee, err := node.EstimateFee(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, payments.Msat(1234), fee, "also above lnd's default limit of 5 %")
	request.CLTVLimit = 50
	_, err = node.EstimateFee(t.Context(), request)
	require.ErrorIs(t, err, lightning.ErrNoRoute)
}

// TestFeeLimitIsKept: nothing is tried that costs more.
func TestFeeLimitIsKept(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	request := lightning.SendRequest{
		Bolt11: hinted(t, net, zpay32.PaymentAddr([32]byte{1})), FeeLimitMsat: 1233, CLTVLimit: 1008,
		Timeout: 10 * time.Second, MaxParts: 16,
	}
	payment, err := node.SendPayment(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentFailed, payment.State)
	require.Equal(t, lightning.ReasonNoRoute, payment.Reason)
	require.Zero(t, payment.FeeMsat)

	request.Bolt11 = hinted(t, net)
	_, err = node.SendPayment(t.Context(), request)
	require.ErrorIs(t, err, lightning.ErrPaymentRefused, "no payment address")
}

func TestTooLarge(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	const large = 4 * 100_000_000 * payments.MsatPerSat
	bolt11, err := net.AddInvoice(t.Context(), large, time.Hour)
	require.NoError(t, err)
	_, err = node.EstimateFee(t.Context(), lightning.RouteRequest{Bolt11: bolt11, AmountMsat: large, CLTVLimit: 1008})
	require.ErrorIs(t, err, lightning.ErrNoRoute)
	payment, err := node.SendPayment(t.Context(), lightning.SendRequest{
		Bolt11: bolt11, CLTVLimit: 1008, Timeout: 10 * time.Second, MaxParts: 16,
	})
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentFailed, payment.State)
	require.Equal(t, lightning.ReasonInsufficientBalance, payment.Reason)
}

// TestSpendNeedsItsMacaroon: the receive macaroon can do none of it, and says
// nothing about the payment.
func TestSpendNeedsItsMacaroon(t *testing.T) {
	net := regtest.Shared(t)
	cfg := net.Merchant.Config
	var err error
	cfg.MacaroonFile, err = net.Merchant.Bake(t.Context(), "receive", lightning.ReceivePermissions())
	require.NoError(t, err)
	cfg.SpendMacaroonFile = ""
	node, err := lightning.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(node.Close)
	require.NoError(t, node.Ready(t.Context()))
	bolt11, err := net.AddInvoice(t.Context(), 1000, time.Hour)
	require.NoError(t, err)

	last, err := node.SendPayment(t.Context(), lightning.SendRequest{Bolt11: bolt11, Timeout: time.Second})
	require.ErrorContains(t, err, "outcome unknown")
	require.ErrorContains(t, err, "permission denied")
	require.Nil(t, last)
	_, err = node.TrackPayment(t.Context(), lightning.Hash{1})
	require.ErrorContains(t, err, "permission denied")
	require.Zero(t, node.SteadyFor())
	_, err = node.EstimateFee(t.Context(), lightning.RouteRequest{Bolt11: bolt11, AmountMsat: 1000})
	require.ErrorContains(t, err, "permission denied")
	require.ErrorContains(t, node.ListPayments(t.Context(), 0, 1, nil), "permission denied")

	cfg.SpendMacaroonFile = "nowhere"
	_, err = lightning.Connect(t.Context(), cfg)
	require.ErrorContains(t, err, "nowhere")
}

// TestSteadyThroughTrouble: a restart and a frozen node break it, and answers
// start it again.
func TestSteadyThroughTrouble(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	steady := func() bool {
		_ = node.Ready(t.Context())

		return node.SteadyFor() > 0
	}
	require.Eventually(t, steady, watchLimit, 20*time.Millisecond)
	for name, trouble := range map[string]func(){
		"restart": func() { require.NoError(t, net.RestartMerchant(t.Context())) },
		"pause": func() {
			require.NoError(t, net.PauseMerchant(t.Context()))
			bolt11, err := net.AddInvoice(t.Context(), 1000, time.Hour)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			last, err := node.SendPayment(ctx, lightning.SendRequest{
				Bolt11: bolt11, CLTVLimit: 1008, Timeout: time.Minute, MaxParts: 1,
			})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Nil(t, last)
			require.Zero(t, node.SteadyFor(), "not a word until the deadline")
			require.NoError(t, net.ResumeMerchant(t.Context()))
		},
	} {
		began := time.Now()
		trouble()
		require.Eventually(t, steady, watchLimit, 20*time.Millisecond, name)
		require.Less(t, node.SteadyFor(), time.Since(began), name)
	}
}

// TestPaymentStreamEnds with its node, in order or frozen.
func TestPaymentStreamEnds(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	subscribe := func() <-chan error {
		opened, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- node.SubscribePayments(t.Context(), func() { close(opened) },
				func(lightning.Payment) error { return nil })
		}()
		select {
		case <-opened:
		case err := <-ended:
			t.Fatalf("ended at once: %v", err)
		}

		return ended
	}
	wait := func(ended <-chan error, text string) {
		select {
		case err := <-ended:
			require.ErrorContains(t, err, text)
		case <-time.After(watchLimit):
			t.Fatal("it does not end")
		}
	}
	ended := subscribe()
	require.NoError(t, net.PauseMerchant(t.Context()))
	wait(ended, "does not answer")
	require.NoError(t, net.ResumeMerchant(t.Context()))
	require.Eventually(t, func() bool { return node.Ready(t.Context()) == nil }, watchLimit, 50*time.Millisecond)
	ended = subscribe()
	require.NoError(t, net.StopMerchant(t.Context()))
	wait(ended, "outcome unknown")
	require.NoError(t, net.StartMerchant(t.Context()))
}

// TestHeldPaymentSurvivesRestart: in flight before and after, then settled.
func TestHeldPaymentSurvivesRestart(t *testing.T) {
	net := regtest.Shared(t)
	node := connect(t, net.Merchant)
	preimage := lightning.Preimage(sha256.Sum256([]byte(t.Name() + time.Now().String())))
	bolt11, err := net.AddHoldInvoice(t.Context(), preimage.Hash(), 5_000_000, time.Hour)
	require.NoError(t, err)
	sent := make(chan error, 1)
	go func() {
		_, err := node.SendPayment(t.Context(), lightning.SendRequest{
			Bolt11: bolt11, CLTVLimit: 1008, Timeout: time.Minute, MaxParts: 16,
		})
		sent <- err
	}()
	pending := func() bool {
		payment, err := node.TrackPayment(t.Context(), preimage.Hash())

		return err == nil && payment.State == lightning.PaymentInFlight && payment.Pending == 1
	}
	require.Eventually(t, pending, watchLimit, 20*time.Millisecond)
	require.NoError(t, net.WaitHeld(t.Context(), preimage.Hash()))
	require.NoError(t, net.RestartMerchant(t.Context()))
	err = <-sent
	require.ErrorContains(t, err, "outcome unknown")
	require.NotErrorIs(t, err, lightning.ErrPaymentRefused)
	require.Eventually(t, pending, watchLimit, 20*time.Millisecond)
	require.NoError(t, net.SettleHoldInvoice(t.Context(), preimage))
	require.Eventually(t, func() bool {
		payment, err := node.TrackPayment(t.Context(), preimage.Hash())

		return err == nil && payment.State == lightning.PaymentSucceeded && payment.Preimage == preimage
	}, watchLimit, 20*time.Millisecond)
}

var _ lightningtest.Recipient = recipient{}
