package gate_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

var testKey = l402.NewKey([32]byte{1, 2, 3})

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("want %v, got %v", want, got)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// till makes charges, and knows their preimages as a payer would.
type till struct {
	mu        sync.Mutex
	made      []lntpay.ChargeParams
	preimages map[string]l402.Preimage
	// create, if set, decides what becomes of a charge.
	create func(context.Context) error
}

func (s *till) Create(ctx context.Context, params lntpay.ChargeParams, _ ...lntpay.WriteOption) (*lntpay.Charge, error) {
	if s.create != nil {
		if err := s.create(ctx); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, params)
	preimage := l402.Preimage{byte(len(s.made)), byte(len(s.made) >> 8), 7}
	hash := sha256.Sum256(preimage[:])
	invoice := fmt.Sprintf("lnbcrt%d", len(s.made))
	if s.preimages == nil {
		s.preimages = map[string]l402.Preimage{}
	}
	s.preimages[invoice] = preimage

	return &lntpay.Charge{
		ID: fmt.Sprintf("ch_01m829m1ezf6p8497reqzrs%03d", len(s.made)), AmountMsat: params.AmountMsat, Bolt11: invoice,
		PaymentHash: hex.EncodeToString(hash[:]), ExpiresAt: time.Unix(1_800_000_000, 0).UTC(),
	}, nil
}

func (s *till) charges() []lntpay.ChargeParams {
	s.mu.Lock()
	defer s.mu.Unlock()

	return append([]lntpay.ChargeParams{}, s.made...)
}

// pay is the credential that paying an answer's invoice gives.
func (s *till) pay(t *testing.T, answer *http.Response) *l402.Credential {
	t.Helper()
	challenge, err := l402.ParseChallenge(answer.Header)
	noError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	preimage, known := s.preimages[challenge.Invoice]
	if !known {
		t.Fatal("an invoice that nobody made: ", challenge.Invoice)
	}

	return &l402.Credential{Macaroon: challenge.Macaroon, Preimage: preimage}
}

// bench is a gate in front of a handler.
type bench struct {
	*till

	handler http.Handler
	log     *bytes.Buffer
	// next answers what is let through.
	next http.HandlerFunc
}

// open makes a gate of 21 sats.
func open(t *testing.T, change func(*gate.Config)) *bench {
	t.Helper()
	b := &bench{till: &till{}, log: &bytes.Buffer{}}
	b.next = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("paid")) }
	config := gate.Config{
		Charges: b.till, Key: testKey, Price: gate.Fixed(21 * lntpay.Sat), Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	made, err := gate.New(config)
	noError(t, err)
	b.handler = made.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.next(w, r) }))

	return b
}

func request(method, target string, credentials ...*l402.Credential) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for _, credential := range credentials {
		r.Header.Add("Authorization", credential.String())
	}

	return r
}

func (b *bench) do(r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, r)

	return recorder.Result()
}

func (b *bench) get(target string, credentials ...*l402.Credential) *http.Response {
	return b.do(request(http.MethodGet, target, credentials...))
}

// problem is what the body of a refusal says.
type problem struct {
	Type, Title, Detail, Code, Reason, Invoice, Macaroon string

	Status     int
	AmountMsat int64     `json:"amount_msat"`
	ExpiresAt  time.Time `json:"expires_at"`
	ChargeID   string    `json:"charge_id"`
}

// refused checks that an answer is a problem.
func refused(t *testing.T, answer *http.Response, status int, code, reason string) (read problem) {
	t.Helper()
	equal(t, status, answer.StatusCode)
	equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
	equal(t, "no-store", answer.Header.Get("Cache-Control"))
	equal(t, "", answer.Header.Get("Payment-Receipt"))
	noError(t, json.NewDecoder(answer.Body).Decode(&read))
	equal(t, problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Reason: reason},
		problem{Type: read.Type, Title: read.Title, Status: read.Status, Code: read.Code, Reason: read.Reason})
	equal(t, status == http.StatusPaymentRequired, read.Invoice != "")

	return read
}

var errTest = errors.New("as the test wants")
