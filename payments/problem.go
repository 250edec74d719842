package payments

import "net/http"

// Code is the stable name of a refusal; clients switch on it.
type Code string

// The codes of the public contract.
const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeUnauthorized         Code = "unauthorized"
	CodeForbidden            Code = "forbidden"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeChargeNotCancelable  Code = "charge_not_cancelable"
	CodeChargeNotPayable     Code = "charge_not_payable"
	CodeInvoiceNotHeld       Code = "invoice_not_held"
	CodeDuplicatePayment     Code = "duplicate_payment"
	CodeEndpointDisabled     Code = "endpoint_disabled"
	CodePayloadTooLarge      Code = "payload_too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeIdempotencyKeyReused Code = "idempotency_key_reused"
	CodeAmountOutOfRange     Code = "amount_out_of_range"
	CodeURLNotAllowed        Code = "url_not_allowed"
	CodeInsufficientBalance  Code = "insufficient_balance"
	CodeInvoiceInvalid       Code = "invoice_invalid"
	CodeInvoiceExpired       Code = "invoice_expired"
	CodeInvoiceWrongNetwork  Code = "invoice_wrong_network"
	CodeAmountRequired       Code = "amount_required"
	CodeAmountNotAllowed     Code = "amount_not_allowed"
	CodeLimitExceeded        Code = "limit_exceeded"
	CodePayoutsFrozen        Code = "payouts_frozen"
	CodeRateLimited          Code = "rate_limited"
	CodeServiceUnavailable   Code = "service_unavailable"
	CodeNoPayerNode          Code = "no_payer_node"
	CodeInternal             Code = "internal_error"
)

// kinds gives each code its status and title.
var kinds = map[Code]struct {
	status int
	title  string
}{
	CodeInvalidRequest:       {http.StatusBadRequest, "The request is not of the documented form."},
	CodeUnauthorized:         {http.StatusUnauthorized, "A valid API key is required."},
	CodeForbidden:            {http.StatusForbidden, "The API key lacks a scope."},
	CodeNotFound:             {http.StatusNotFound, "There is no such object."},
	CodeMethodNotAllowed:     {http.StatusMethodNotAllowed, "The method is not allowed here."},
	CodeChargeNotCancelable:  {http.StatusConflict, "The charge can no longer be canceled."},
	CodeChargeNotPayable:     {http.StatusConflict, "The charge can no longer be paid."},
	CodeInvoiceNotHeld:       {http.StatusConflict, "No payment of the invoice is held."},
	CodeDuplicatePayment:     {http.StatusConflict, "This payment hash is being paid or was paid by another withdrawal."},
	CodeEndpointDisabled:     {http.StatusConflict, "The webhook endpoint is disabled or deleted."},
	CodePayloadTooLarge:      {http.StatusRequestEntityTooLarge, "The request body is too large."},
	CodeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "The body must be application/json."},
	CodeIdempotencyKeyReused: {http.StatusUnprocessableEntity, "The Idempotency-Key was used with another body."},
	CodeAmountOutOfRange:     {http.StatusUnprocessableEntity, "The amount is out of range."},
	CodeURLNotAllowed:        {http.StatusUnprocessableEntity, "The URL is not allowed."},
	CodeInsufficientBalance:  {http.StatusUnprocessableEntity, "The available balance does not cover amount and fee."},
	CodeInvoiceInvalid:       {http.StatusUnprocessableEntity, "The invoice cannot be paid."},
	CodeInvoiceExpired:       {http.StatusUnprocessableEntity, "The invoice has expired or is about to."},
	CodeInvoiceWrongNetwork:  {http.StatusUnprocessableEntity, "The invoice is of another network."},
	CodeAmountRequired:       {http.StatusUnprocessableEntity, "The invoice names no amount: the request must."},
	CodeAmountNotAllowed:     {http.StatusUnprocessableEntity, "The invoice names its amount: the request must not."},
	CodeLimitExceeded:        {http.StatusUnprocessableEntity, "A limit is exceeded."},
	CodePayoutsFrozen:        {http.StatusUnprocessableEntity, "Payouts are frozen."},
	CodeRateLimited:          {http.StatusTooManyRequests, "Too many requests."},
	CodeServiceUnavailable:   {http.StatusServiceUnavailable, "The outcome is unknown: repeat with the same Idempotency-Key."},
	CodeNoPayerNode:          {http.StatusNotImplemented, "This sandbox has no payer node."},
	CodeInternal:             {http.StatusInternalServerError, "Something went wrong on our side."},
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Problem is an answer that refuses, as RFC 9457 application/problem+json.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Code      Code         `json:"code"`
	RequestID string       `json:"request_id"`
	Errors    []FieldError `json:"errors,omitempty"`
}

// NewProblem makes the problem of a code. Detail is a sentence for a developer
// and never text from lnd, Postgres or Temporal.
func NewProblem(code Code, detail string, errors ...FieldError) *Problem {
	kind, known := kinds[code]
	if !known {
		code, kind = CodeInternal, kinds[CodeInternal]
	}

	return &Problem{
		Type: "https://lntpay.dev/problems/" + string(code), Title: kind.title,
		Status: kind.status, Detail: detail, Code: code, Errors: errors,
	}
}

// Error makes a problem an error.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }
