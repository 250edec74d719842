package lntpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code says what kind of problem an [*Error] is. It is an error itself, so that
// errors.Is finds it:
//
//	errors.Is(err, lntpay.ErrInvoiceExpired)
type Code string

// The codes that the API answers with. More may come.
const (
	ErrInvalidRequest       Code = "invalid_request"
	ErrUnauthorized         Code = "unauthorized"
	ErrForbidden            Code = "forbidden"
	ErrNotFound             Code = "not_found"
	ErrMethodNotAllowed     Code = "method_not_allowed"
	ErrChargeNotCancelable  Code = "charge_not_cancelable"
	ErrChargeNotPayable     Code = "charge_not_payable"
	ErrInvoiceNotHeld       Code = "invoice_not_held"
	ErrDuplicatePayment     Code = "duplicate_payment"
	ErrEndpointDisabled     Code = "endpoint_disabled"
	ErrPayloadTooLarge      Code = "payload_too_large"
	ErrUnsupportedMediaType Code = "unsupported_media_type"
	ErrIdempotencyKeyReused Code = "idempotency_key_reused"
	ErrAmountOutOfRange     Code = "amount_out_of_range"
	ErrURLNotAllowed        Code = "url_not_allowed"
	ErrInsufficientBalance  Code = "insufficient_balance"
	ErrInvoiceInvalid       Code = "invoice_invalid"
	ErrInvoiceExpired       Code = "invoice_expired"
	ErrInvoiceWrongNetwork  Code = "invoice_wrong_network"
	ErrAmountRequired       Code = "amount_required"
	ErrAmountNotAllowed     Code = "amount_not_allowed"
	ErrLimitExceeded        Code = "limit_exceeded"
	ErrPayoutsFrozen        Code = "payouts_frozen"
	ErrRateLimited          Code = "rate_limited"
	ErrServiceUnavailable   Code = "service_unavailable"
	ErrNoPayerNode          Code = "no_payer_node"
	ErrInternal             Code = "internal_error"
)

// Error makes a code something to compare with.
func (c Code) Error() string { return "lntpay: " + string(c) }

// ErrSecretLost means that a key, an endpoint or a new secret was made, but that
// the answer with the secret was lost and a repeat does not show it again. The
// object comes with the error: delete it and make another, or rotate again.
var ErrSecretLost = errors.New("lntpay: made, but the answer with the secret was lost")

// Error is an answer of the API that is no success.
type Error struct {
	// Code is what to decide by. It is empty when the answer is not LNTPay's,
	// such as a proxy's.
	Code Code
	// Status is that of HTTP.
	Status int
	// Detail says in words what is wrong.
	Detail string
	// RequestID names the request in the server's log.
	RequestID string
	// Fields says what is wrong, field by field.
	Fields []FieldError
	// RetryAfter is how long the server asks to wait, if it does.
	RetryAfter time.Duration
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("lntpay: ")
	if e.Code != "" {
		text.WriteString(string(e.Code) + ": ")
	}
	text.WriteString(e.Detail)
	for _, field := range e.Fields {
		fmt.Fprintf(&text, "; %s: %s", field.Field, field.Message)
	}
	fmt.Fprintf(&text, " (%d", e.Status)
	if e.RequestID != "" {
		text.WriteString(", request " + e.RequestID)
	}
	text.WriteString(")")

	return text.String()
}

// Is compares with a [Code].
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)

	return ok && e.Code == code
}

// CodeOf is the code of an error that the API answered with, else empty.
func CodeOf(err error) Code {
	if problem, ok := errors.AsType[*Error](err); ok {
		return problem.Code
	}

	return ""
}

// UnknownOutcomeError means that a write may have happened or not, or may still
// happen: it was sent, and no answer said what became of it. Repeat the same
// call with [WithIdempotencyKey] within a day to learn.
type UnknownOutcomeError struct {
	// IdempotencyKey is the one that the write was sent with.
	IdempotencyKey string
	// Err is what the last try ended with.
	Err error
}

func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("%v; the outcome is unknown, repeat with the Idempotency-Key %q", e.Err, e.IdempotencyKey)
}

// Unwrap is what the last try ended with.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// problem reads an answer that is no success.
func problem(response *http.Response, body []byte) *Error {
	e := &Error{Status: response.StatusCode, RequestID: response.Header.Get("X-Request-Id"), RetryAfter: retryAfter(response.Header)}
	var read struct {
		Code      Code         `json:"code"`
		Detail    string       `json:"detail"`
		RequestID string       `json:"request_id"`
		Errors    []FieldError `json:"errors"`
	}
	isProblem := strings.HasPrefix(response.Header.Get("Content-Type"), "application/problem+json")
	if isProblem && json.Unmarshal(body, &read) == nil {
		e.Code, e.Detail, e.Fields = read.Code, read.Detail, read.Errors
		if read.RequestID != "" {
			e.RequestID = read.RequestID
		}
	}
	if e.Detail == "" {
		e.Detail = "the answer is " + response.Status
	}

	return e
}
