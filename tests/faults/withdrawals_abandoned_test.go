package faults_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"
)

// voidAbandoned does what docs/runbooks/payment_without_htlcs.md tells an
// operator to do about payments in flight in name only.
func (p *payouts) voidAbandoned(t *testing.T, s *stack, ids []string) {
	t.Helper()
	p.abandoned = ids
	awaitOldSends(t, s, ids)
	for _, id := range ids {
		t.Logf("%s", s.ops(t, "resolve", id, "--void", "--by", "fault test", "--reason", "in flight in name only"))
	}
}

// awaitOldSends waits until a void of what is in flight in name only is not
// refused for its youth: three minutes after the last send.
func awaitOldSends(t *testing.T, s *stack, ids []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dev.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	for old := false; !old; pause(t, time.Second, nil) {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT coalesce(max(started_at) < now() - interval '185 seconds', true)
			FROM withdrawal_send WHERE withdrawal_id = ANY ($1)`, ids).Scan(&old))
	}
}

// ops runs an operator's command, which must do what it says.
func (s *stack) ops(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.operate(t, args...)
	require.NoError(t, err, "%v: %s", args, out)

	return out
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
