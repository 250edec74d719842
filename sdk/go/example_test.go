package lntpay_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// newClient is a client of an LNTPay of canned answers. Yours is at
// LNTPAY_BASE_URL, and made by lntpay.New(lntpay.Options{}).
func newClient() *lntpay.Client {
	mux := http.NewServeMux()
	say := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	}
	say("POST /v1/charges", `{"id":"ch_1","status":"pending","amount_msat":21000,"bolt11":"lnbcrt210n1…"}`)
	say("GET /v1/charges/ch_1", `{"id":"ch_1","status":"paid","amount_msat":21000,"amount_paid_msat":21000}`)
	say("GET /v1/charges", `{"data":[{"id":"ch_2","amount_paid_msat":500},{"id":"ch_1","amount_paid_msat":21000}],"has_more":false}`)
	say("GET /v1/withdrawals/wd_1", `{"id":"wd_1","status":"succeeded","amount_msat":10000,"fee_msat":12,"preimage":"8fb1…"}`)
	mux.HandleFunc("POST /v1/withdrawals", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "lnbcrt9") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"code":"insufficient_balance","detail":"The available balance is too low."}`)

			return
		}
		_, _ = io.WriteString(w, `{"id":"wd_1","status":"pending"}`)
	})
	say("GET /v1/events/evt_41", `{"id":"evt_41","sequence":41}`)
	mux.HandleFunc("GET /v1/events/stream", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"id":"evt_42","type":"charge.paid","sequence":42,"data":{"object":`+
			`{"id":"ch_1","object":"charge","amount_paid_msat":21000}}}`+"\n\n")
	})
	server := httptest.NewServer(mux)
	client, err := lntpay.New(lntpay.Options{APIKey: "lnt_sandbox_example", BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}

	return client
}

// Ask for money and wait for it.
func Example() {
	client := newClient()
	ctx := context.Background()

	charge, err := client.Charges.Create(ctx, lntpay.ChargeParams{AmountMsat: 21 * lntpay.Sat, Description: "one API call"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("pay", charge.Bolt11)
	charge, err = client.Charges.Wait(ctx, charge.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(charge.Status, charge.AmountPaidMsat, "msat")
	// Output:
	// pay lnbcrt210n1…
	// paid 21000 msat
}

// Lists fetch page after page for as long as the loop goes on.
func ExampleCharges_List() {
	client := newClient()

	var sum int64
	for charge, err := range client.Charges.List(context.Background(), lntpay.ChargeFilter{Status: lntpay.ChargePaid}) {
		if err != nil {
			log.Fatal(err)
		}
		sum += charge.AmountPaidMsat
	}
	fmt.Println(sum, "msat")
	// Output: 21500 msat
}

// Pay an invoice. The key is your own name for the payment: whatever crashes,
// the same call again does not pay twice.
func ExampleWithdrawals_Create() {
	client := newClient()
	ctx := context.Background()

	withdrawal, err := client.Withdrawals.Create(ctx, lntpay.WithdrawalParams{
		Bolt11: "lnbcrt100n1…", MaxFeeMsat: new(5 * lntpay.Sat),
	}, lntpay.WithIdempotencyKey("payout-42"))
	if err != nil {
		log.Fatal(err)
	}
	withdrawal, err = client.Withdrawals.Wait(ctx, withdrawal.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(withdrawal.Status, withdrawal.FeeMsat, withdrawal.Preimage)
	// Output: succeeded 12 8fb1…
}

// What the API refuses is told apart by its code.
func ExampleError() {
	client := newClient()

	_, err := client.Withdrawals.Create(context.Background(), lntpay.WithdrawalParams{Bolt11: "lnbcrt9m1…"})
	if errors.Is(err, lntpay.ErrInsufficientBalance) {
		fmt.Println("not enough")
	}
	if problem, ok := errors.AsType[*lntpay.Error](err); ok {
		fmt.Println(problem.Status, problem.Detail)
	}
	// Output:
	// not enough
	// 422 The available balance is too low.
}

// Follow the events from the last one that was handled.
func ExampleEvents_Stream() {
	client := newClient()

	for event, err := range client.Events.Stream(context.Background(), lntpay.StreamParams{LastEventID: "evt_41"}) {
		if err != nil {
			log.Fatal(err)
		}
		if event.Type == lntpay.EventChargePaid {
			charge, err := event.Charge()
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(charge.ID, "paid", charge.AmountPaidMsat, "msat")
		}

		break // Yours goes on.
	}
	// Output: ch_1 paid 21000 msat
}

// Receive webhooks. Without a third argument, Verify takes the secret from
// LNTPAY_WEBHOOK_SECRET.
func ExampleVerify() {
	deliver(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "cannot read the body", http.StatusBadRequest)

			return
		}
		event, err := lntpay.Verify(body, r.Header, secret)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)

			return
		}
		if event.Type == lntpay.EventChargePaid {
			fmt.Println("unlock, once for the event", event.ID)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	// Output:
	// unlock, once for the event evt_42
	// answered 204
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// deliver sends an event to a receiver as LNTPay does.
func deliver(receiver http.HandlerFunc) {
	const id, body = "evt_42", `{"id":"evt_42","type":"charge.paid","sequence":42}`
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+timestamp+"."+body)
	request := httptest.NewRequest(http.MethodPost, "/webhooks/lntpay", strings.NewReader(body))
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", timestamp)
	request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	answer := httptest.NewRecorder()
	receiver(answer, request)
	fmt.Println("answered", answer.Code)
}
