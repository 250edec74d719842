package examples_test

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// pay pays a charge from the other node.
func pay(bolt11 string) func(*testing.T, *walk) {
	return func(t *testing.T, w *walk) {
		t.Helper()
		_, err := w.Net.Pay(t.Context(), w.resolve(t, bolt11), 0)
		require.NoError(t, err)
	}
}

// payFor pays, and keeps the preimage, which the payer gets, under a name.
func payFor(preimage, bolt11 string) func(*testing.T, *walk) {
	return func(t *testing.T, w *walk) {
		t.Helper()
		paid, err := w.Net.Pay(t.Context(), w.resolve(t, bolt11), 0)
		require.NoError(t, err)
		w.texts[preimage] = hex.EncodeToString(paid[:])
	}
}

// invoice makes an invoice of the other node; 0 leaves its amount open.
func invoice(name string, amount payments.Msat) func(*testing.T, *walk) {
	return invoiceFor(name, amount, time.Hour)
}

// expiringInvoice makes one that nobody should begin to pay any more.
func expiringInvoice(name string, amount payments.Msat) func(*testing.T, *walk) {
	return invoiceFor(name, amount, 5*time.Second)
}

func invoiceFor(name string, amount payments.Msat, expiry time.Duration) func(*testing.T, *walk) {
	return func(t *testing.T, w *walk) {
		t.Helper()
		bolt11, err := w.Net.AddInvoice(t.Context(), amount, expiry)
		require.NoError(t, err)
		w.texts[name] = bolt11
	}
}

// holdInvoice makes one whose payment stays out until cancelHeld.
func holdInvoice(name string, amount payments.Msat) func(*testing.T, *walk) {
	return func(t *testing.T, w *walk) {
		t.Helper()
		var preimage lightning.Preimage
		_, _ = rand.Read(preimage[:])
		w.held = preimage.Hash()
		bolt11, err := w.Net.AddHoldInvoice(t.Context(), w.held, amount, time.Hour)
		require.NoError(t, err)
		w.texts[name] = bolt11
	}
}

func cancelHeld(t *testing.T, w *walk) {
	t.Helper()
	require.NoError(t, w.Net.WaitHeld(t.Context(), w.held))
	require.NoError(t, w.Net.CancelHoldInvoice(t.Context(), w.held))
}

// awaitHeld waits until the payer holds the payment of an invoice.
func awaitHeld(hash string) func(*testing.T, *walk) {
	return func(t *testing.T, w *walk) {
		t.Helper()
		bytes, err := hex.DecodeString(w.resolve(t, hash))
		require.NoError(t, err)
		require.NoError(t, w.Net.WaitHeld(t.Context(), lightning.Hash(bytes)))
	}
}

// freeze stops the payouts of the workspace, as `lntpay ops freeze` does.
func freeze(t *testing.T, w *walk) {
	t.Helper()
	_, err := w.Store.FreezePayouts(t.Context(), w.workspaceID, store.Operator{Name: "tests/examples", Reason: "an example"})
	require.NoError(t, err)
}

// withoutPayer starts the worker of a sandbox that has no payer node.
func withoutPayer(t *testing.T, w *walk) {
	t.Helper()
	require.NoError(t, w.StopWorker())
	w.Config.Sandbox.Payer = config.Payer{}
	require.NoError(t, w.StartWorker(t.Context()))
}

func stopWorker(t *testing.T, w *walk) {
	t.Helper()
	require.NoError(t, w.StopWorker())
}

// isInFlight: the payment is out, and the node was asked about it since.
func isInFlight(answer object) bool {
	flight, _ := answer["in_flight"].(object)

	return flight != nil && flight["htlc_expiry_height"] != nil && flight["checked_at"] != nil
}

func hasFailed(answer object) bool { return answer["status"] == "failed" }

func isNotEmpty(answer object) bool {
	data, _ := answer["data"].([]any)

	return len(data) > 0
}

// isTried: a delivery has an attempt and waits for the next.
func isTried(answer object) bool {
	attempts, _ := answer["attempts"].([]any)

	return len(attempts) > 0 && answer["next_attempt_at"] != nil
}
