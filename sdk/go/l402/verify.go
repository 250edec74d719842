package l402

import (
	"slices"
	"time"
)

// Reason says why a token is refused.
type Reason string

// The reasons. The first three say that it is no token of ours or was never
// paid; after the others a new one may be bought.
const (
	ErrMalformed       Reason = "malformed"
	ErrBadSignature    Reason = "bad_signature"
	ErrWrongPreimage   Reason = "wrong_preimage"
	ErrWidened         Reason = "widened"
	ErrWrongService    Reason = "wrong_service"
	ErrWrongCapability Reason = "wrong_capability"
	ErrWrongResource   Reason = "wrong_resource"
	ErrExpired         Reason = "expired"
	ErrUnderpaid       Reason = "underpaid"
	ErrUsed            Reason = "used"
	ErrRevoked         Reason = "revoked"
)

// Error makes a reason something to compare with by errors.Is.
func (r Reason) Error() string { return "l402: the token is refused: " + string(r) }

// Genuine says whether the token was minted by us and paid.
func (r Reason) Genuine() bool {
	return !slices.Contains([]Reason{ErrMalformed, ErrBadSignature, ErrWrongPreimage}, r)
}

// Request is what a token must be good for.
type Request struct {
	// Service is whose caveats are read, and, with NeedService, what the
	// services caveat must name.
	Service string
	// NeedService refuses a token without a services caveat, and one that does
	// not name Service.
	NeedService bool
	// Resource must be that of the token's resource caveat, which it must have.
	Resource string
	// Capability must be among the token's capabilities, if it names any and
	// this is not empty.
	Capability string
	// AmountMsat is the price now, in millisatoshi: a token with an amount caveat
	// must have cost as much. One without is refused if this is not zero.
	AmountMsat int64
	// Now is when.
	Now time.Time
}

// condition is how caveats of one kind are judged: each may only be narrower
// than the one before, and the last must fit the request (macaroon-spec.md,
// "Caveat Verification").
type condition struct {
	name     string
	required bool
	narrower func(narrow, wide string) bool
	fits     func(value string) bool
	otherway Reason
}

func (r Request) conditions(paid Preimage) []condition {
	same := func(narrow, wide string) bool { return narrow == wide }

	return []condition{
		{condServices, r.NeedService, subset, func(value string) bool {
			return !r.NeedService || slices.Contains(list(value), r.Service)
		}, ErrWrongService},
		{r.Service + condResource, true, same, func(value string) bool { return value == r.Resource }, ErrWrongResource},
		{r.Service + condCapabilities, false, subset, func(value string) bool {
			return r.Capability == "" || slices.Contains(list(value), r.Capability)
		}, ErrWrongCapability},
		{r.Service + condValidUntil, false, noMore, func(value string) bool {
			end, ok := number(value)

			return ok && r.Now.Unix() < end
		}, ErrExpired},
		{r.Service + condAmount, r.AmountMsat > 0, noMore, func(value string) bool {
			cost, ok := number(value)

			return ok && r.AmountMsat <= cost
		}, ErrUnderpaid},
		{condPreimage, false, same, func(value string) bool {
			preimage, err := ParsePreimage(value)

			return err == nil && preimage == paid
		}, ErrWrongPreimage},
	}
}

// judge checks the caveats. Unknown conditions are skipped, as the
// specification demands: a holder may add some for others.
func (r Request) judge(caveats []Caveat, paid Preimage) error {
	for _, condition := range r.conditions(paid) {
		var last *Caveat
		for i := range caveats {
			if caveats[i].Condition != condition.name {
				continue
			}
			if last != nil && !condition.narrower(caveats[i].Value, last.Value) {
				return ErrWidened
			}
			last = &caveats[i]
		}
		if last == nil && condition.required {
			return condition.otherway
		}
		if last != nil && !condition.fits(last.Value) {
			return condition.otherway
		}
	}

	return nil
}
