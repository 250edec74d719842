package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

// fakeDeliveries notes what was to be started.
type fakeDeliveries struct {
	scripted
	started []string
}

func (f *fakeDeliveries) Deliver(_ context.Context, deliveryID string) error {
	return f.do(func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.started = append(f.started, deliveryID)

		return nil
	})
}

func (f *fakeDeliveries) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()

	return slices.Clone(f.started)
}

// fails records a failed attempt, as the worker does; final ends the delivery.
func (b *bench) fails(t *testing.T, delivery string, attempts int32, status *int32, response []byte, final bool) {
	t.Helper()
	n, err := b.store.RecordDeliveryFailure(t.Context(), db.RecordDeliveryFailureParams{
		ID: delivery, Attempts: attempts, StatusCode: status, DurationMs: 12, Error: "in words",
		Response: response, Final: final, NextInMs: 60_000,
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

// happen writes events of the bench's workspace.
func (b *bench) happen(t *testing.T, n int) {
	t.Helper()
	require.NoError(t, b.tryHappen(n))
}

// tryHappen is happen for other goroutines: charges that are canceled.
func (b *bench) tryHappen(n int) error {
	for range n {
		answer, err := b.try(http.MethodPost, "/v1/charges", `{"amount_sats":1}`)
		if err != nil {
			return err
		}
		var charge struct{ ID string }
		if err := json.Unmarshal([]byte(answer.body), &charge); err != nil {
			return err
		}
		_, ok, err := b.store.EndCharge(b.t.Context(), store.EndCharge{ID: charge.ID, Status: payments.ChargeCanceled})
		if err != nil || !ok {
			return fmt.Errorf("cancel %q: %t, %w", charge.ID, ok, err)
		}
	}

	return nil
}

// metric reads a number without labels.
func (b *bench) metric(t *testing.T, name string) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	b.server.OperatorHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(recorder.Body.String()) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}

	return ""
}
