package payments_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	var ids []string
	for range 20_000 {
		ids = append(ids, payments.NewID(payments.PrefixCharge))
	}
	require.True(t, slices.IsSorted(ids), "ids of one process sort by the time they were made")
	require.Len(t, ids[0], len("ch_")+26)
	require.True(t, payments.ValidID(payments.PrefixCharge, ids[0]))
	for _, bad := range []string{"", "ch_", "ch_x", "wd" + ids[0][2:], ids[0] + "0", "ch_" + ids[0][3:28] + "u"} {
		require.False(t, payments.ValidID(payments.PrefixCharge, bad), bad)
	}
}

// A prefix that only begins like another's is another's.
func TestAnIDWithUnderscoresInItsPrefixIsOfAnotherKind(t *testing.T) {
	t.Parallel()
	require.False(t, payments.ValidID(payments.PrefixCharge, "ch_of_another_00000000000000000000000000"))
	require.True(t, payments.ValidID("ch_of_another", "ch_of_another_00000000000000000000000000"))
}

// The public shape never has a null where a list or a map belongs, and its
// times are UTC.
func TestChargeObject(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.FixedZone("", 3600))
	body, err := json.Marshal(payments.Charge{
		ID: "ch_1", Environment: payments.Sandbox, Status: payments.ChargePaid, AmountMsat: 1000, AmountPaidMsat: 2000,
		Bolt11: "lnbcrt1", PaymentHash: []byte{1, 2}, CreatedAt: at, ExpiresAt: at, PaidAt: &at,
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"ch_1","object":"charge","environment":"sandbox","status":"paid","amount_msat":1000,
		"amount_paid_msat":2000,"description":null,"bolt11":"lnbcrt1","payment_hash":"0102","metadata":{},"external_id":null,
		"created_at":"2026-11-22T19:00:00Z","expires_at":"2026-11-22T19:00:00Z","paid_at":"2026-11-22T19:00:00Z","warnings":[]}`,
		string(body))
}

func TestProblemsHaveTheirStatus(t *testing.T) {
	t.Parallel()
	require.Equal(t, 409, payments.NewProblem(payments.CodeChargeNotCancelable, "x").Status)
	require.Equal(t, payments.CodeInternal, payments.NewProblem("no_such_code", "x").Code)
}

// The first id of a moment parts the ids that were made before from those after.
func TestFirstID(t *testing.T) {
	t.Parallel()
	before := payments.NewID(payments.PrefixCharge)
	time.Sleep(2 * time.Millisecond)
	first := payments.FirstID(payments.PrefixCharge, time.Now())
	after := payments.NewID(payments.PrefixCharge)
	require.Less(t, before, first)
	require.Less(t, first, after)
	require.Len(t, first, len(after))
	require.Less(t, payments.FirstID(payments.PrefixCharge, time.Now().Add(-time.Hour)), before)
}
