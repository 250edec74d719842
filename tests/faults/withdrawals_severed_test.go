package faults_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
)

// severedFor is for how long a channel must be down, with both nodes up, to be
// one that lnd cannot bring up again.
const severedFor = time.Minute

// A node that was killed may leave a channel whose link fails at each
// reconnection, on the other side with "unable to settle htlc: No HTLC with ID"
// (lnd 0.21.2, seen once in ten runs of this test). What is on it stays in
// flight until somebody force-closes the channel and the chain decides, which is
// the node owner's business and takes hundreds of blocks. Until then it must be
// visible and locked, and nobody may void it.

// isSevered reports whether a channel of the merchant's is down.
func isSevered(t *testing.T, s *stack) bool {
	t.Helper()
	conn, err := s.dev.Lnd.Merchant.Connect()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	channels, err := lnrpc.NewLightningClient(conn).ListChannels(t.Context(), &lnrpc.ListChannelsRequest{InactiveOnly: true})
	require.NoError(t, err)

	return len(channels.Channels) > 0
}

// allInFlight reports whether the node says so of every open withdrawal.
func allInFlight(t *testing.T, s *stack, open []withdrawalObject) bool {
	t.Helper()
	payments := paid(t, s)
	for _, one := range open {
		if payments[one.PaymentHash].GetStatus() != lnrpc.Payment_IN_FLIGHT {
			return false
		}
	}

	return true
}

// leaveSevered asserts that what a severed channel may hold is in flight and
// that an operator cannot void it.
func (p *payouts) leaveSevered(t *testing.T, s *stack, open []withdrawalObject) {
	t.Helper()
	payments := paid(t, s)
	for _, one := range open {
		t.Logf("lnd cannot bring a channel up again: %s (%s) stays in flight", one.ID, p.kinds[one.ID])
		require.Equal(t, "in_flight", one.Status, one.ID)
		require.False(t, one.UnderReview, one.ID)
		require.Equal(t, lnrpc.Payment_IN_FLIGHT, payments[one.PaymentHash].GetStatus(), one.ID)
		out, err := s.operate(t, "resolve", one.ID, "--void", "--by", "fault test", "--reason", "must be refused")
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "a void was not refused: %s", out)
		require.Equal(t, 1, exit.ExitCode(), "%s", out)
		p.severed = append(p.severed, one.ID)
	}
}

// severedLocked is what the severed withdrawals have locked.
func (p *payouts) severedLocked(t *testing.T) (msat int64) {
	t.Helper()
	for _, id := range p.severed {
		one := load.Get[struct {
			AmountMsat int64 `json:"amount_msat"`
			MaxFeeMsat int64 `json:"max_fee_msat"`
		}](t, &p.w.Client, "/v1/withdrawals/"+id)
		msat += one.AmountMsat + one.MaxFeeMsat
	}

	return msat
}
