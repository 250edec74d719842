package payments_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

var idForm = regexp.MustCompile(`\A(ws|key|ch|wd|we|evt|dlv|txf|sbi|sbp)_[0-7][0-9a-hjkmnp-tv-z]{25}\z`)

// FuzzValidID: an id has one form, and is of one kind.
func FuzzValidID(f *testing.F) {
	prefixes := []string{
		payments.PrefixWorkspace, payments.PrefixKey, payments.PrefixCharge, payments.PrefixWithdrawal, payments.PrefixEndpoint,
		payments.PrefixEvent, payments.PrefixDelivery, payments.PrefixTransfer, payments.PrefixSandboxInvoice, payments.PrefixSandboxPayment,
	}
	for _, prefix := range prefixes {
		f.Add(payments.NewID(prefix))
	}
	f.Add("ch_")
	f.Add("ch_of_another_00000000000000000000000000")
	f.Add("ch_8zzzzzzzzzzzzzzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, id string) {
		kinds := 0
		for _, prefix := range prefixes {
			if payments.ValidID(prefix, id) {
				kinds++
			}
		}
		want := 0
		if idForm.MatchString(id) {
			want = 1
		}
		require.Equal(t, want, kinds, "%q", id)
	})
}
