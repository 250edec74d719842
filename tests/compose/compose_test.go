package compose_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/lntpay/lntpay/tests/compose"
)

// settleWithin bounds each wait for money to arrive, in any state of the
// machine; the usual is below a second.
const settleWithin = time.Minute

// shop is a workspace's key at the proxy.
type shop struct {
	*compose.Project
	key string
}

// object is an answer of the API.
type object struct {
	ID, Status, Bolt11 string
	AvailableMsat      int64 `json:"available_msat"`
}

// call asks as a client does: 503 leaves the outcome open, and the same request
// under the same key is sent again.
func (s *shop) call(t *testing.T, method, path string, body any, want int) object {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	key, until := rand.Text(), time.Now().Add(settleWithin)
	status, answer := s.send(t, method, path, key, text)
	for status == http.StatusServiceUnavailable && want != status && time.Now().Before(until) {
		time.Sleep(time.Second)
		status, answer = s.send(t, method, path, key, text)
	}
	require.Equal(t, want, status, "%s %s: %s", method, path, answer)
	var read object
	require.NoError(t, json.Unmarshal(answer, &read))

	return read
}

func (s *shop) send(t *testing.T, method, path, key string, text []byte) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.APIURL+path, bytes.NewReader(text))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+s.key)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPost {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	require.NoError(t, err)

	return response.StatusCode, answer
}

// awaitStatus reads a charge or withdrawal until it has a status.
func (s *shop) awaitStatus(t *testing.T, path, status string) {
	t.Helper()
	var last object
	require.Eventually(t, func() bool {
		last = s.call(t, http.MethodGet, path, nil, http.StatusOK)

		return last.Status == status
	}, settleWithin, 100*time.Millisecond, "%s does not become %s", path, status)
}

// charged makes a charge of so many sats and pays it from the payer's node.
func (s *shop) charged(t *testing.T, sats int) {
	t.Helper()
	charge := s.call(t, http.MethodPost, "/v1/charges", map[string]any{"amount_sats": sats}, http.StatusCreated)
	payer, err := s.Node(t.Context(), compose.LndPayer)
	require.NoError(t, err)
	require.NoError(t, payer.With(func(conn *grpc.ClientConn) error { return pay(t.Context(), conn, charge.Bolt11) }))
	s.awaitStatus(t, "/v1/charges/"+charge.ID, "paid")
}

// pay waits for the end of a payment, and fails unless it succeeded.
func pay(ctx context.Context, conn *grpc.ClientConn, bolt11 string) error {
	stream, err := routerrpc.NewRouterClient(conn).SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		PaymentRequest: bolt11, TimeoutSeconds: 30, FeeLimitMsat: 1_000_000, NoInflightUpdates: true,
	})
	if err != nil {
		return err
	}
	payment, err := stream.Recv()
	if err == nil && payment.Status != lnrpc.Payment_SUCCEEDED {
		err = fmt.Errorf("the payment failed: %s", payment.FailureReason)
	}

	return err
}

func (s *shop) withdraw(t *testing.T, sats int64) {
	t.Helper()
	payer, err := s.Node(t.Context(), compose.LndPayer)
	require.NoError(t, err)
	var invoice *lnrpc.AddInvoiceResponse
	require.NoError(t, payer.With(func(conn *grpc.ClientConn) (err error) {
		invoice, err = lnrpc.NewLightningClient(conn).AddInvoice(t.Context(), &lnrpc.Invoice{Value: sats})

		return err
	}))
	withdrawal := s.call(t, http.MethodPost, "/v1/withdrawals", map[string]any{"bolt11": invoice.PaymentRequest}, http.StatusCreated)
	s.awaitStatus(t, "/v1/withdrawals/"+withdrawal.ID, "succeeded")
}

// From nothing by one command: money comes in and goes out, and again after
// lnd has been started anew; each of a pair may be gone.
func TestComesUpAndPays(t *testing.T) {
	p := compose.Shared(t)
	_, key, err := p.NewKey(t.Context(), "charges:read", "charges:write", "withdrawals:read", "withdrawals:write", "ledger:read")
	require.NoError(t, err)
	s := &shop{Project: p, key: key}

	s.charged(t, 10_000)
	require.EqualValues(t, 10_000_000, s.call(t, http.MethodGet, "/v1/balance", nil, http.StatusOK).AvailableMsat)
	s.withdraw(t, 2_000)
	require.EqualValues(t, 8_000_000, s.call(t, http.MethodGet, "/v1/balance", nil, http.StatusOK).AvailableMsat)

	t.Run("lnd starts anew", func(t *testing.T) {
		require.NoError(t, p.Restart(t.Context(), compose.LndMerchant))
		require.NoError(t, p.WaitChannels(t.Context()))
		s.charged(t, 3_000)
		s.withdraw(t, 1_000)
		require.EqualValues(t, 10_000_000, s.call(t, http.MethodGet, "/v1/balance", nil, http.StatusOK).AvailableMsat)
	})
	t.Run("one of each pair is gone", func(t *testing.T) {
		require.NoError(t, p.Kill(t.Context(), compose.API1))
		require.NoError(t, p.Disconnect(t.Context(), compose.Worker2))
		s.charged(t, 1_000)
		require.NoError(t, p.Start(t.Context(), compose.API1))
		require.NoError(t, p.Connect(t.Context(), compose.Worker2))
		require.NoError(t, p.WaitHealthy(t.Context(), compose.API1))
		require.NoError(t, p.WaitHealthy(t.Context(), compose.Worker2))
		s.charged(t, 1_000)
	})
	t.Run("reads go on without Temporal", func(t *testing.T) {
		require.NoError(t, p.Stop(t.Context(), compose.Temporal))
		s.call(t, http.MethodGet, "/v1/balance", nil, http.StatusOK)
		require.NoError(t, p.Start(t.Context(), compose.Temporal))
	})
	t.Run("it is hardened", func(t *testing.T) { requireHardened(t, p) })
}
