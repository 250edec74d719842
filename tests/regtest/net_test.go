package regtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/tests/regtest"
)

func TestMain(m *testing.M) { regtest.Main(m) }

func TestPayBothWays(t *testing.T) {
	net := regtest.Shared(t)
	bolt11, err := net.AddInvoice(t.Context(), 5_000*payments.MsatPerSat, time.Hour)
	require.NoError(t, err)
	require.NotEmpty(t, bolt11)
	require.NoError(t, net.RestartMerchant(t.Context()))
}
