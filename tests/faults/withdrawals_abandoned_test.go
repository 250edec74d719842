package faults_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/tests/load"
)

// resultsWithin bounds the wait for a node that has run for three minutes.
const resultsWithin = 6 * time.Minute

// voidAbandoned does what docs/runbooks/payment_without_htlcs.md tells an
// operator to do about payments in flight in name only.
func (p *payouts) voidAbandoned(t *testing.T, s *stack, ids []string) {
	t.Helper()
	p.abandoned = ids
	awaitOldSends(t, s, ids)
	void := func(id string) (string, error) {
		return s.operate(t, "resolve", id, "--void", "--by", "fault test", "--reason", "in flight in name only")
	}
	var left []string
	for _, id := range ids {
		out, err := void(id)
		t.Logf("%s", out)
		if err == nil {
			continue // lnd was killed after its absence was noticed, and has run for long.
		}
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Equal(t, 1, exit.ExitCode(), "%s", out)
		left = append(left, id)
	}
	if len(left) == 0 {
		return
	}
	// What lnd says of its own age is trusted to five seconds.
	load.Pause(t, 10*time.Second, nil)
	t.Logf("the merchant's node is killed to find what it has not recorded of payments in flight in name only: %v", left)
	s.kill(t, "lnd_merchant")
	awaitResults(t, s)
	for _, id := range left {
		out, err := void(id)
		require.NoError(t, err, "%s: %s", id, out)
		t.Logf("%s", out)
	}
}

// awaitResults waits until the merchant's node has run for so long that it has
// found all results, and its channels are active.
func awaitResults(t *testing.T, s *stack) {
	t.Helper()
	up := func() bool {
		conn, err := s.dev.Lnd.Merchant.Connect()
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		answer, err := lnrpc.NewLightningClient(conn).ListChannels(t.Context(), &lnrpc.ListChannelsRequest{})
		if err != nil {
			return false
		}
		for _, channel := range answer.Channels {
			if !channel.Active || channel.Lifetime < 185 {
				return false
			}
		}

		return len(answer.Channels) > 0
	}
	for began := time.Now(); !up(); load.Pause(t, time.Second, nil) {
		require.Less(t, time.Since(began), resultsWithin, "the merchant's node does not come back")
	}
}

// awaitOldSends waits until a void of what is in flight in name only is not
// refused for its youth: three minutes after the last send.
func awaitOldSends(t *testing.T, s *stack, ids []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	for old := false; !old; load.Pause(t, time.Second, nil) {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT coalesce(max(started_at) < now() - interval '185 seconds', true)
			FROM withdrawal_send WHERE withdrawal_id = ANY ($1)`, ids).Scan(&old))
	}
}

// operate runs an operator's command.
func (s *stack) operate(t *testing.T, args ...string) (string, error) {
	t.Helper()
	env, err := s.dev.Environ()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), s.program, append([]string{"ops"}, args...)...)
	command.Env = os.Environ()
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	out, err := command.CombinedOutput()

	return string(out), err
}

// checkAbandoned: the withdrawal was voided, and nothing has moved, whatever
// the node calls it.
func checkAbandoned(t *testing.T, one withdrawalObject, payment *lnrpc.Payment, received map[string]int64) {
	t.Helper()
	require.Equal(t, "failed", one.Status, one.ID)
	require.Equal(t, "node_error", one.Failure.Code, one.ID)
	require.Equal(t, lnrpc.Payment_IN_FLIGHT, payment.GetStatus(), one.ID)
	for _, htlc := range payment.GetHtlcs() {
		require.NotEqual(t, lnrpc.HTLCAttempt_SUCCEEDED, htlc.Status, one.ID)
	}
	require.NotContains(t, received, one.PaymentHash, "%s was voided, its payee was paid", one.ID)
}
