package lightning_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/tests/regtest"
)

// BenchmarkAddInvoice is the ceiling of new charges on one node: lnd adds
// invoices one at a time.
func BenchmarkAddInvoice(b *testing.B) {
	node, err := lightning.Connect(b.Context(), regtest.Shared(b).Merchant.Config)
	require.NoError(b, err)
	defer node.Close()
	var number atomic.Uint64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			preimage := lightning.Preimage{0xbe}
			binary.BigEndian.PutUint64(preimage[24:], number.Add(1)<<32|uint64(time.Now().UnixNano()&0xffffffff))
			_, err := node.AddInvoice(b.Context(), lightning.NewInvoice{
				Preimage: preimage, AmountMsat: 1000, Description: "benchmark", Expiry: time.Hour,
			})
			if err != nil {
				b.Error(err)

				return
			}
		}
	})
}
