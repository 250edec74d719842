package lntpay

import (
	"fmt"
	"net/http"
	"testing"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	c, _ := play(t, answer(http.StatusBadRequest, `{"type":"https://x","title":"t","status":400,"detail":"no good","code":"invalid_request",
		"request_id":"req-7","errors":[{"field":"amount_msat","message":"is missing"}],"new":1}`, "Content-Type", "application/problem+json"))
	_, err := c.Charges.Create(t.Context(), ChargeParams{})
	err = fmt.Errorf("wrapped: %w", err)
	errorIs(t, err, ErrInvalidRequest)
	equal(t, ErrInvalidRequest, CodeOf(err))
	got := errorAs[*Error](t, err)
	equal(t, Error{
		Code: ErrInvalidRequest, Status: http.StatusBadRequest, Detail: "no good", RequestID: "req-7",
		Fields: []FieldError{{"amount_msat", "is missing"}},
	}, *got)
	equal(t, "lntpay: invalid_request: no good; amount_msat: is missing (400, request req-7)", got.Error())
	equal(t, "", CodeOf(http.ErrNoCookie))
}

func TestErrorOfTheFuture(t *testing.T) {
	t.Parallel()
	c, _ := play(t, refusal(http.StatusTeapot, "tea_only"))
	_, err := c.Ledger.Balance(t.Context())
	errorIs(t, err, Code("tea_only"))
}

// A proxy's answer has no code, whatever it holds.
func TestErrorOfAProxy(t *testing.T) {
	t.Parallel()
	c, _ := play(t, answer(http.StatusBadGateway, `<html>{"code":"not_found"}`, "Content-Type", "text/html"))
	_, err := c.Ledger.Balance(t.Context())
	equal(t, Error{Status: http.StatusBadGateway, Detail: "the answer is 502 Bad Gateway", RequestID: "req-1"}, *errorAs[*Error](t, err))
	c, _ = play(t, answer(http.StatusOK, `<html>`))
	if _, err := c.Ledger.Balance(t.Context()); err == nil {
		t.Fatal("HTML is no balance")
	}
}
