package lntpay

import (
	"context"
	"net/http"
)

// L402 are tokens that the API mints and judges with a key of the workspace's
// own. A gate that judges by itself, without a call for each request, is
// package gate.
type L402 struct{ c *Client }

// L402Challenge is a charge, and the token that paying it makes good.
type L402Challenge struct {
	// ID is that of the charge.
	ID          string      `json:"id"`
	Environment Environment `json:"environment"`
	Resource    string      `json:"resource"`
	// Caveats are what the token is bound to.
	Caveats []string `json:"caveats"`
	// Macaroon is the token in base64: as good as money once it is paid.
	Macaroon string `json:"macaroon"`
	// WWWAuthenticate is the header of that name for your answer 402.
	WWWAuthenticate string  `json:"www_authenticate"`
	Charge          *Charge `json:"charge"`
}

// L402ChallengeParams describe a new charge and its token.
type L402ChallengeParams struct {
	ChargeParams
	// Resource is what the token opens, in your own words; it is required. It
	// is also the invoice's description if there is no other.
	Resource string
	// Caveats are further conditions, each condition=value. Verify enforces
	// lntpay_valid_until (seconds since 1970) and hands the others back.
	Caveats []string
}

// L402Verification says what a token is worth.
type L402Verification struct {
	Environment Environment `json:"environment"`
	Valid       bool        `json:"valid"`
	// Reason is why it is not: a Reason of package l402.
	Reason string `json:"reason"`
	// ChargeID and PaymentHash are empty where the token is not ours.
	ChargeID    string   `json:"charge_id"`
	PaymentHash string   `json:"payment_hash"`
	Caveats     []string `json:"caveats"`
}

const l402Path = "/v1/l402"

// CreateChallenge makes a charge and its token. It needs the scope
// charges:write.
func (s *L402) CreateChallenge(ctx context.Context, params L402ChallengeParams, options ...WriteOption) (*L402Challenge, error) {
	body := struct {
		chargeBody
		Resource string   `json:"resource"`
		Caveats  []string `json:"caveats,omitempty"`
	}{params.body(), params.Resource, params.Caveats}

	return call[L402Challenge](ctx, s.c, post(l402Path+"/challenges", body, options))
}

// Verify judges the value of an Authorization header for a resource. A token
// that is not valid is no error. It needs the scope charges:read.
func (s *L402) Verify(ctx context.Context, authorization, resource string) (*L402Verification, error) {
	r := post(l402Path+"/verify", struct {
		Authorization string `json:"authorization"`
		Resource      string `json:"resource"`
	}{authorization, resource}, nil)
	// There is no outcome that a key could keep.
	r.key = ""

	return call[L402Verification](ctx, s.c, r)
}

// Revoke makes a token worthless, by the id of its charge. Again is fine. It
// needs the scope charges:write.
func (s *L402) Revoke(ctx context.Context, id string) error {
	return s.c.do(ctx, request{method: http.MethodDelete, path: l402Path + "/challenges"}.on(id, ""), nil)
}
