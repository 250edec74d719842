package api

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/sdk/go/l402"
	"github.com/lntpay/lntpay/store/db"
)

const (
	// l402Service is the service of the tokens that the API itself mints: their
	// resource caveat is lntpay_resource, their expiry lntpay_valid_until.
	l402Service      = "lntpay"
	maxResourceChars = 500
	maxCaveats       = 16
	maxCaveatChars   = 500
	// maxCaveatsBytes keeps the challenge, which has the macaroon twice, within
	// the 16 KiB of headers that Node and others read.
	maxCaveatsBytes    = 2 << 10
	maxAuthorization   = 16 << 10
	fieldResource      = "resource"
	fieldCaveats       = "caveats"
	fieldAuthorization = "authorization"
)

// challengeObject is a charge with the token that paying it makes good.
type challengeObject struct {
	ID              string               `json:"id"`
	Object          string               `json:"object"`
	Environment     payments.Environment `json:"environment"`
	Resource        string               `json:"resource"`
	Caveats         []string             `json:"caveats"`
	Macaroon        string               `json:"macaroon"`
	WWWAuthenticate string               `json:"www_authenticate"`
	Charge          json.RawMessage      `json:"charge"`
}

// l402Key is the workspace's own key, which never leaves this process. It
// derives from the environment's secrets key: a new one makes all tokens
// worthless.
func (c *call) l402Key() l402.Key {
	return l402.NewKey(c.env.Sealer.Derive("l402/v1/" + string(c.env.name) + "/" + c.key.workspaceID))
}

// createChallenge is POST /v1/l402/challenges: a charge, and a token that is
// the same for every repeat.
func (s *Server) createChallenge(c *call) error {
	key, body, err := c.readPost(readBody)
	if err != nil {
		return err
	}
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	request := f.charge(s.config.MaxChargeMsat)
	resource := f.resource()
	caveats := f.caveats()
	if err := f.result(); err != nil {
		return err
	}
	if err := s.roomForCharge(c, key); err != nil {
		return err
	}
	request.L402Resource = &resource
	if request.Description == nil && len(resource) <= payments.MaxDescriptionBytes {
		request.Description = &resource
	}
	p := post{key: key, body: body, resourceID: payments.NewID(payments.PrefixCharge), request: request}
	claimed, err := s.decided(c, p, c.openCharge(request))
	if err != nil {
		return err
	}
	// A copy: repeats at the same time have the answer in common.
	answer := *claimed.answer
	if answer.status == http.StatusCreated {
		all := append([]l402.Caveat{l402.Resource(l402Service, resource)}, caveats...)
		if answer.body, err = c.challenge(answer.body, resource, all); err != nil {
			return err
		}
	}
	c.sendFrozen(answer, claimed.replayed)

	return nil
}

// challenge wraps a new charge.
func (c *call) challenge(charge []byte, resource string, caveats []l402.Caveat) ([]byte, error) {
	var made struct {
		ID          string `json:"id"`
		PaymentHash string `json:"payment_hash"`
		Bolt11      string `json:"bolt11"`
	}
	if err := json.Unmarshal(charge, &made); err != nil {
		return nil, fmt.Errorf("%w: read the frozen charge: %w", errBug, err)
	}
	macaroon, err := c.l402Key().Mint(made.ID, made.PaymentHash, caveats...)
	if err != nil {
		return nil, fmt.Errorf("%w: mint: %w", errBug, err)
	}
	object := challengeObject{
		ID: made.ID, Object: "l402_challenge", Environment: c.env.name, Resource: resource, Macaroon: macaroon.String(),
		WWWAuthenticate: l402.Challenge{Macaroon: macaroon, Invoice: made.Bolt11}.String(), Charge: charge,
	}
	for _, caveat := range caveats {
		object.Caveats = append(object.Caveats, caveat.String())
	}

	return json.Marshal(object)
}

// revokeChallenge is DELETE /v1/l402/challenges/{id}. Again is fine. The charge
// stays what it is.
func (s *Server) revokeChallenge(c *call) error {
	id := c.Param("id")
	if !payments.ValidID(payments.PrefixCharge, id) {
		return errNotFound
	}
	ctx, cancel := c.context()
	defer cancel()
	revoked, err := c.env.Store.RevokeL402(ctx, db.RevokeL402Params{ID: id, WorkspaceID: c.key.workspaceID})
	if err != nil {
		return err
	}
	if revoked == 0 {
		return errNotFound
	}
	c.Status(http.StatusNoContent)

	return nil
}

// verificationObject says what a token is worth. Of one that is not ours
// nothing is told.
type verificationObject struct {
	Object      string               `json:"object"`
	Environment payments.Environment `json:"environment"`
	Valid       bool                 `json:"valid"`
	Reason      *l402.Reason         `json:"reason"`
	ChargeID    *string              `json:"charge_id"`
	PaymentHash *string              `json:"payment_hash"`
	Caveats     []string             `json:"caveats"`
}

// verifyL402 is POST /v1/l402/verify. It changes nothing, so it needs no claim,
// and an Idempotency-Key changes nothing.
func (s *Server) verifyL402(c *call) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	f, err := parseFields(body)
	if err != nil {
		return err
	}
	authorization := f.required(fieldAuthorization, maxAuthorization)
	request := l402.Request{Service: l402Service, Resource: f.resource(), Now: time.Now()}
	if err := f.result(); err != nil {
		return err
	}
	credential, err := c.verified(authorization, request)
	var reason l402.Reason
	if err != nil && !errors.As(err, &reason) {
		return err
	}
	answer := verificationObject{
		Object: "l402_verification", Environment: c.env.name, Valid: err == nil, Caveats: []string{},
	}
	if err != nil {
		answer.Reason = &reason
	}
	if credential != nil && reason != l402.ErrBadSignature {
		id := credential.Macaroon.ID
		chargeID, hash := id.ChargeID(), hex.EncodeToString(id.PaymentHash[:])
		answer.ChargeID, answer.PaymentHash = &chargeID, &hash
		for _, caveat := range credential.Macaroon.Caveats {
			answer.Caveats = append(answer.Caveats, withoutPreimage(caveat))
		}
	}
	c.JSON(http.StatusOK, answer)

	return nil
}

// withoutPreimage keeps the proof of payment, which Aperture's clients carry as
// a caveat, out of the answer and of what the caller logs of it.
func withoutPreimage(caveat l402.Caveat) string {
	if caveat.Condition == "preimage" {
		return "preimage=…"
	}

	return caveat.String()
}

// verified is the first of the credentials that is good, or the last that is
// not with the [l402.Reason].
func (c *call) verified(authorization string, request l402.Request) (*l402.Credential, error) {
	credentials, err := l402.ParseAuthorization(authorization)
	if errors.Is(err, l402.ErrNoCredential) {
		err = l402.ErrMalformed
	}
	var judged *l402.Credential
	for _, judged = range credentials {
		if err = c.verify(judged, request); err == nil {
			break
		}
	}

	return judged, err
}

func (c *call) verify(credential *l402.Credential, request l402.Request) error {
	if err := c.l402Key().Verify(credential, request); err != nil {
		return err
	}
	ctx, cancel := c.context()
	defer cancel()
	revoked, err := c.env.Store.L402Revoked(ctx, db.L402RevokedParams{
		ID: credential.Macaroon.ID.ChargeID(), WorkspaceID: c.key.workspaceID,
	})
	if err != nil {
		return fmt.Errorf("read the charge of a token: %w", err)
	}
	if revoked {
		return l402.ErrRevoked
	}

	return nil
}

// resource reads what a token opens: the application's own name for it.
func (f *fields) resource() string {
	text := f.required(fieldResource, maxResourceChars)
	if strings.ContainsFunc(text, unicode.IsControl) {
		f.fail(fieldResource, "must not hold control characters")
	}

	return text
}

var (
	caveatForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+=[^\x00-\x1f\x7f]*$`)
	unixTime   = regexp.MustCompile(`^[0-9]{1,12}$`)
)

// caveats reads further conditions. Those that the API sets itself, and the
// one that clients add, are not the caller's.
func (f *fields) caveats() []l402.Caveat {
	if _, present := f.get(fieldCaveats); !present {
		return nil
	}
	var caveats []l402.Caveat
	texts := f.texts(fieldCaveats, maxCaveats)
	if len(strings.Join(texts, "")) > maxCaveatsBytes {
		f.fail(fieldCaveats, "must be at most %d bytes long together", maxCaveatsBytes)
	}
	for i, text := range texts {
		name := fmt.Sprintf("%s.%d", fieldCaveats, i)
		caveat, ok := l402.ParseCaveat(text)
		switch {
		case len(text) > maxCaveatChars:
			f.fail(name, "must be at most %d bytes long", maxCaveatChars)
		case !ok || !caveatForm.MatchString(text):
			f.fail(name, "must be of the form condition=value, without control characters")
		case slices.Contains([]string{l402Service + "_resource", "preimage"}, caveat.Condition):
			f.fail(name, "must not set %s", caveat.Condition)
		case caveat.Condition == l402Service+"_valid_until" && !unixTime.MatchString(caveat.Value):
			f.fail(name, "must be a time in seconds since 1970")
		default:
			caveats = append(caveats, caveat)
		}
	}

	return caveats
}
