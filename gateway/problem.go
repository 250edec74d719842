package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/lntpay/lntpay/payments"
)

// Codes of problems that are the gateway's own; those of the gate are in
// package gate.
const (
	codeInvalidRequest   payments.Code = payments.CodeInvalidRequest
	codeNotFound         payments.Code = payments.CodeNotFound
	codeMethodNotAllowed payments.Code = payments.CodeMethodNotAllowed
	codePayloadTooLarge  payments.Code = payments.CodePayloadTooLarge
	codeUnavailable      payments.Code = payments.CodeServiceUnavailable
	codeInvalidToken     payments.Code = "invalid_token"
	codeRequestTimeout   payments.Code = "request_timeout"
	codePathTooLong      payments.Code = "path_too_long"
	codeUpstreamAway     payments.Code = "upstream_unavailable"
	codeUpstreamTimeout  payments.Code = "upstream_timeout"
	codeResponseTooLarge payments.Code = "response_too_large"
	codeClientGone       payments.Code = "client_gone"
)

// statusClientGone is nginx's for a client that did not wait. Nobody reads it;
// it is no 5xx, so that the token of such a request stays used.
const statusClientGone = 499

// problem is an answer of the gateway itself.
type problem struct {
	status int
	code   payments.Code
	title  string
	detail string
}

// write sends it, as RFC 9457 application/problem+json.
func (p problem) write(w http.ResponseWriter, requestID string) {
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if p.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	body, err := json.Marshal(payments.Problem{
		Type: "https://lntpay.dev/problems/" + string(p.code), Title: p.title, Status: p.status,
		Detail: p.detail, Code: p.code, RequestID: requestID,
	})
	if err != nil {
		panic(err) // Strings and integers always marshal.
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(body)
}
