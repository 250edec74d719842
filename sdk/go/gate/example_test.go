package gate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// A report that costs 21 sats, or 100 with all details.
func Example() {
	charges := &till{}                                                                            // Yours is the Charges of an lntpay.New(lntpay.Options{}).
	key, err := l402.ParseKey("4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a") // openssl rand -hex 32
	if err != nil {
		panic(err)
	}
	paid, err := gate.New(gate.Config{
		Charges: charges, Key: key, Once: true,
		Price: func(r *http.Request) (int64, error) {
			switch {
			case r.Method == http.MethodOptions:
				return 0, nil // A browser's preflight cannot pay.
			case r.URL.Query().Has("full"):
				return 100 * lntpay.Sat, nil
			default:
				return 21 * lntpay.Sat, nil
			}
		},
	})
	if err != nil {
		panic(err)
	}
	report := paid.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payment, _ := gate.PaymentFrom(r.Context())
		_, _ = fmt.Fprintf(w, "the report, for %d msat", payment.AmountMsat)
	}))

	// What a client does.
	answer := httptest.NewRecorder()
	report.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/report?full", nil))
	fmt.Println(answer.Result().Status)
	challenge, err := l402.ParseChallenge(answer.Header())
	if err != nil {
		panic(err)
	}
	preimage := charges.preimages[challenge.Invoice] // Its wallet pays the invoice, and has it from there.
	credential := &l402.Credential{Macaroon: challenge.Macaroon, Preimage: preimage}
	for range 2 {
		answer, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/report?full", nil)
		request.Header.Set("Authorization", credential.String())
		report.ServeHTTP(answer, request)
		fmt.Println(answer.Result().Status)
	}
	// Output:
	// 402 Payment Required
	// 200 OK
	// 402 Payment Required
}
