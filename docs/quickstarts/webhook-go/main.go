// Command webhook-go sells one answer for 21 sats, told by webhooks who has
// paid. docs/quickstart.md explains it.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

// status is what a charge has come to.
type status string

const (
	pending status = "pending"
	paid    status = "paid"
	used    status = "used"
)

// maxBody bounds a webhook.
const maxBody = 1 << 20

// shop remembers charges. Yours does it in a database, to outlive a restart.
type shop struct {
	client *lntpay.Client

	mu      sync.Mutex
	charges map[string]status
}

// set moves a charge on, if it is where it should come from, and says whether
// it did. A charge that nobody knows is an empty status.
func (s *shop) set(id string, to status, from ...status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(from, s.charges[id]) {
		return false
	}
	s.charges[id] = to

	return true
}

func (s *shop) get(id string) status {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.charges[id]
}

// premium is GET /api/premium, and again with ?charge_id= once it is paid.
func (s *shop) premium(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("charge_id")
	switch {
	case id == "":
		charge, err := s.client.Charges.Create(r.Context(), lntpay.ChargeParams{AmountMsat: 21 * lntpay.Sat, Description: "one answer"})
		if err == nil {
			// The webhook may have come before the answer.
			s.set(charge.ID, pending, "")
		}
		requirePayment(w, charge, err)
	case s.set(id, used, paid):
		write(w, http.StatusOK, map[string]any{"answer": 42})
	case s.get(id) == used:
		write(w, http.StatusGone, map[string]any{"error": "One charge, one answer."})
	case s.get(id) == pending:
		charge, err := s.client.Charges.Get(r.Context(), id)
		requirePayment(w, charge, err)
	default:
		write(w, http.StatusNotFound, map[string]any{"error": "There is no such charge."})
	}
}

// requirePayment answers 402.
func requirePayment(w http.ResponseWriter, charge *lntpay.Charge, err error) {
	if err != nil {
		log.Print(err)
		http.Error(w, "Something went wrong", http.StatusInternalServerError)

		return
	}
	write(w, http.StatusPaymentRequired, map[string]any{
		"charge_id": charge.ID, "bolt11": charge.Bolt11, "expires_at": charge.ExpiresAt,
	})
}

// webhook is POST /webhooks/lntpay.
func (s *shop) webhook(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Lntpay-Signature") == "" {
		http.Error(w, "Missing x-lntpay-signature header", http.StatusBadRequest)

		return
	}
	// As it came: the signature is of these bytes.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "The body is too large", http.StatusRequestEntityTooLarge)

		return
	}
	event, err := lntpay.VerifySignature(body, r.Header) // LNTPAY_WEBHOOK_SECRET
	if err != nil {
		http.Error(w, "The signature is wrong", http.StatusBadRequest)

		return
	}
	if charge, err := event.Charge(); err == nil && event.Type == lntpay.EventChargePaid {
		// The same event can come again: what is used stays so.
		s.set(charge.ID, paid, pending, "")
	}
	_, _ = io.WriteString(w, "ok")
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

func main() {
	client, err := lntpay.New(lntpay.Options{}) // LNTPAY_API_KEY, LNTPAY_BASE_URL
	if err != nil {
		log.Fatal(err)
	}
	s := &shop{client: client, charges: map[string]status{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/premium", s.premium)
	mux.HandleFunc("POST /webhooks/lntpay", s.webhook)
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3001"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second}
	log.Fatal(server.Serve(listener))
}
