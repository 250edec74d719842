package regtest_test

import (
	"context"
	"encoding/hex"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/regtest"
)

func TestMain(m *testing.M) { regtest.Main(m) }

// merchantInvoice makes an invoice on the merchant.
func merchantInvoice(t *testing.T, net *regtest.Net, amount payments.Msat) *lnrpc.AddInvoiceResponse {
	t.Helper()
	invoice, err := net.Merchant.Lightning.AddInvoice(t.Context(), &lnrpc.Invoice{ValueMsat: int64(amount)})
	require.NoError(t, err)

	return invoice
}

func TestPayerPays(t *testing.T) {
	net := regtest.Shared(t)
	for _, sent := range []payments.Msat{0, 5_000_123} {
		invoice := merchantInvoice(t, net, 5_000_000)
		preimage, err := net.Pay(t.Context(), invoice.PaymentRequest, sent)
		require.NoError(t, err)
		hash := preimage.Hash()
		require.Equal(t, invoice.RHash, hash[:])
		paid, err := net.Merchant.Lightning.LookupInvoice(t.Context(), &lnrpc.PaymentHash{RHash: hash[:]})
		require.NoError(t, err)
		require.EqualValues(t, max(sent, 5_000_000), paid.AmtPaidMsat)
	}
}

func TestMerchantPays(t *testing.T) {
	net := regtest.Shared(t)
	bolt11, err := net.AddInvoice(t.Context(), 7_000_000, time.Hour)
	require.NoError(t, err)
	stream, err := net.Merchant.Router.SendPaymentV2(t.Context(), &routerrpc.SendPaymentRequest{
		PaymentRequest: bolt11, TimeoutSeconds: 30, FeeLimitSat: 100, NoInflightUpdates: true,
	})
	require.NoError(t, err)
	payment, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, lnrpc.Payment_SUCCEEDED, payment.Status, payment.FailureReason)
}

// TestMerchantGoesAndComesBack: the same node, address and money after each.
func TestMerchantGoesAndComesBack(t *testing.T) {
	net := regtest.Shared(t)
	for name, away := range map[string]func(){
		"restart": func() { require.NoError(t, net.RestartMerchant(t.Context())) },
		"pause": func() {
			require.NoError(t, net.PauseMerchant(t.Context()))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := net.Merchant.Lightning.GetInfo(ctx, &lnrpc.GetInfoRequest{})
			require.Error(t, err)
			require.NoError(t, net.ResumeMerchant(t.Context()))
		},
	} {
		before := merchantInvoice(t, net, 1_000_000)
		away()
		info, err := net.Merchant.Lightning.GetInfo(t.Context(), &lnrpc.GetInfoRequest{})
		require.NoError(t, err, name)
		require.Equal(t, net.Merchant.Config.Pubkey, info.IdentityPubkey)
		preimage, err := net.Pay(t.Context(), before.PaymentRequest, 0)
		require.NoError(t, err, name)
		hash := preimage.Hash()
		require.Equal(t, hex.EncodeToString(before.RHash), hash.String())
	}
}
