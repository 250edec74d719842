package lightning_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/regtest"
)

// payerConfig has a macaroon that may do what a payer does and nothing else.
func payerConfig(t *testing.T, node *regtest.Lnd) lightning.PayerConfig {
	t.Helper()
	macaroon, err := node.Bake(t.Context(), "sandbox", lightning.PayerPermissions())
	require.NoError(t, err)

	return lightning.PayerConfig{
		Network: "regtest", Address: node.Config.Address, TLSCertFile: node.Config.TLSCertFile, MacaroonFile: macaroon,
	}
}

func newPayer(t *testing.T, config lightning.PayerConfig) lightning.Payer {
	t.Helper()
	payer, err := lightning.NewPayer(config)
	require.NoError(t, err)
	t.Cleanup(payer.Close)

	return payer
}

// Only where money is worth nothing, by the configuration and by the node.
func TestPayerKeepsToTestNetworks(t *testing.T) {
	net := regtest.Shared(t)
	config := payerConfig(t, net.Payer)
	for _, network := range []string{"mainnet", "testnet", "testnet4", "simnet", ""} {
		config.Network = network
		_, err := lightning.NewPayer(config)
		require.ErrorIs(t, err, lightning.ErrNotTestNetwork, network)
	}
	config.Network = "signet"
	payer := newPayer(t, config)
	preimage := lightning.Preimage{1}
	_, err := payer.AddInvoice(t.Context(), lightning.PayerInvoice{Preimage: preimage, AmountMsat: 1000, Expiry: time.Hour})
	require.ErrorIs(t, err, lightning.ErrNotTestNetwork)
	_, err = payer.Pay(t.Context(), "lnbcrt1", 0)
	require.ErrorIs(t, err, lightning.ErrNotTestNetwork)
	for _, err := range []error{
		payer.Ready(t.Context()), payer.CancelInvoice(t.Context(), preimage.Hash()), payer.SettleInvoice(t.Context(), preimage),
	} {
		require.ErrorIs(t, err, lightning.ErrNotTestNetwork)
	}
}

func TestPayerFilesAreRead(t *testing.T) {
	t.Parallel()
	_, err := lightning.NewPayer(lightning.PayerConfig{Network: "regtest", Address: "127.0.0.1:1", TLSCertFile: "/none"})
	require.ErrorContains(t, err, "tls_cert_file")
}

func TestPayerInvoices(t *testing.T) {
	net := regtest.Shared(t)
	payer := newPayer(t, payerConfig(t, net.Payer))
	require.NoError(t, payer.Ready(t.Context()))
	for i, hold := range []bool{false, true} {
		preimage := lightning.Preimage{0xfe, byte(i)}
		_, err := payer.LookupInvoice(t.Context(), preimage.Hash())
		require.ErrorIs(t, err, lightning.ErrInvoiceNotFound)
		require.ErrorIs(t, payer.CancelInvoice(t.Context(), preimage.Hash()), lightning.ErrInvoiceNotFound)
		request := lightning.PayerInvoice{Preimage: preimage, AmountMsat: 12_345, Expiry: time.Hour, Hold: hold}
		bolt11, err := payer.AddInvoice(t.Context(), request)
		require.NoError(t, err)
		_, err = payer.AddInvoice(t.Context(), request)
		require.ErrorIs(t, err, lightning.ErrInvoiceExists)
		found, err := payer.LookupInvoice(t.Context(), preimage.Hash())
		require.NoError(t, err)
		require.Equal(t, bolt11, found.Bolt11)
		require.Equal(t, payments.Msat(12_345), found.ValueMsat)
		require.Equal(t, lightning.InvoiceOpen, found.State)
		require.Error(t, payer.SettleInvoice(t.Context(), preimage), "nothing is held")
		for range 2 {
			require.NoError(t, payer.CancelInvoice(t.Context(), preimage.Hash()))
		}
		found, err = payer.LookupInvoice(t.Context(), preimage.Hash())
		require.NoError(t, err)
		require.Equal(t, lightning.InvoiceCanceled, found.State)
	}
}

// The merchant takes any total at or above what its invoice asks for, once.
func TestPayerPays(t *testing.T) {
	net := regtest.Shared(t)
	payer, merchant := newPayer(t, payerConfig(t, net.Payer)), connect(t, net.Merchant)
	for i, amount := range []payments.Msat{0, 10_000, 10_001, 25_000} {
		preimage := lightning.Preimage{0xfd, byte(i)}
		invoice, err := merchant.AddInvoice(t.Context(), lightning.NewInvoice{Preimage: preimage, AmountMsat: 10_000, Expiry: time.Hour})
		require.NoError(t, err)
		payment, err := payer.Pay(t.Context(), invoice.Bolt11, amount)
		require.NoError(t, err)
		require.Equal(t, lightning.PaymentSucceeded, payment.State)
		require.Equal(t, preimage, payment.Preimage)
		found, err := merchant.LookupInvoice(t.Context(), preimage.Hash())
		require.NoError(t, err)
		require.Equal(t, max(amount, 10_000), found.AmtPaidMsat)
		_, err = payer.Pay(t.Context(), invoice.Bolt11, amount)
		require.ErrorIs(t, err, lightning.ErrPaymentExists)
	}
	canceled := lightning.Preimage{0xfc}
	invoice, err := merchant.AddInvoice(t.Context(), lightning.NewInvoice{Preimage: canceled, AmountMsat: 10_000, Expiry: time.Hour})
	require.NoError(t, err)
	require.NoError(t, merchant.CancelInvoice(t.Context(), canceled.Hash()))
	payment, err := payer.Pay(t.Context(), invoice.Bolt11, 0)
	require.NoError(t, err)
	require.Equal(t, lightning.PaymentFailed, payment.State)
	require.Equal(t, lightning.ReasonIncorrectDetails, payment.Reason)
}
