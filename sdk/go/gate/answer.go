package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

// The codes of the answers, for clients to decide by.
const (
	codePaymentRequired = "payment_required"
	codeInvalidToken    = "invalid_token"
	codeUnavailable     = "service_unavailable"
	codeInternal        = "internal_error"
	codeInvalidRequest  = "invalid_request"
)

// errLong means that a resource does not fit into a token.
var errLong = errors.New("gate: the resource is too long")

// unavailableError is what cannot be done now.
type unavailableError struct {
	// detail is for the client.
	detail string
	// err is for the log, nil if there is nothing to tell.
	err error
}

func (e *unavailableError) Error() string { return "gate: " + e.detail }

func (e *unavailableError) Unwrap() error { return e.err }

// retryAfterSeconds is what LNTPay asks for, or one.
func (e *unavailableError) retryAfterSeconds() int {
	if problem, ok := errors.AsType[*lntpay.Error](e.err); ok {
		return max(1, int((problem.RetryAfter+time.Second-1)/time.Second))
	}

	return 1
}

// problem is an answer that refuses, as RFC 9457 has it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	// Reason is why a token was refused, if there was one.
	Reason l402.Reason `json:"reason,omitempty"`
	// The others are those of a 402.
	AmountMsat int64     `json:"amount_msat,omitempty"`
	Invoice    string    `json:"invoice,omitempty"`
	Macaroon   string    `json:"macaroon,omitempty"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	ChargeID   string    `json:"charge_id,omitempty"`
}

// answer writes a problem.
func answer(w http.ResponseWriter, r *http.Request, p *problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		answerGRPC(w, p)

		return
	}
	header.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if body, err := json.Marshal(p); err == nil {
		// A client that has left reads nothing.
		_, _ = w.Write(body)
	}
}

// refuse answers a token that is none of ours, or was not paid.
func refuse(w http.ResponseWriter, r *http.Request, reason l402.Reason) {
	w.Header().Set("WWW-Authenticate", "L402")
	answer(w, r, &problem{
		Status: http.StatusUnauthorized, Code: codeInvalidToken, Reason: reason,
		Detail: "The token is not one of this gate, or was not paid.",
	})
}

// fail answers what went wrong, and logs it unless it is the client's.
func (g *Gate) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errLong) {
		answer(w, r, &problem{Status: http.StatusRequestURITooLong, Code: codeInvalidRequest, Detail: "The address is too long to be sold."})

		return
	}
	detail := "The gate has failed."
	status, code := http.StatusInternalServerError, codeInternal
	if unavailable, ok := errors.AsType[*unavailableError](err); ok {
		status, code, detail, err = http.StatusServiceUnavailable, codeUnavailable, unavailable.detail, unavailable.err
		w.Header().Set("Retry-After", strconv.Itoa(unavailable.retryAfterSeconds()))
	}
	if err != nil && r.Context().Err() == nil {
		g.config.Log.Error("gate: a request was not judged", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	answer(w, r, &problem{Status: status, Code: code, Detail: detail})
}
