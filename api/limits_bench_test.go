package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lntpay/lntpay/config"
)

// BenchmarkCreateCharge is a POST by the handler with Postgres and without a
// workflow, with limits that refuse nothing and with none.
func BenchmarkCreateCharge(b *testing.B) {
	plenty := config.Limits{
		KeyPerSecond: 100_000, WorkspacePerSecond: 100_000, WithdrawalsPerSecond: 10,
		KeyWaits: 1000, WorkspaceWaits: 2000, OpenCharges: 50_000,
	}
	for name, limits := range map[string]config.Limits{"none": {}, "limited": plenty} {
		b.Run(name, func(b *testing.B) {
			bench := setup(b, limited(limits))
			handler, i := bench.server.Handler(), 0
			for b.Loop() {
				i++
				request := httptest.NewRequest(http.MethodPost, "/v1/charges", strings.NewReader(`{"amount_sats":1}`))
				request.Header.Set("Authorization", "Bearer "+bench.key)
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Idempotency-Key", fmt.Sprint(i))
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, request)
				if recorder.Code != http.StatusCreated {
					b.Fatal(recorder.Code, recorder.Body.String())
				}
			}
		})
	}
}
