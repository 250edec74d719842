package gate

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lntpay/lntpay/sdk/go/l402"
)

// receiptHeader is that of the "Payment" HTTP authentication scheme
// (draft-httpauth-payment, "Payment-Receipt").
const receiptHeader = "Payment-Receipt"

// usesTimeout is what a call of Uses may take.
const usesTimeout = 5 * time.Second

// slack is added to the end of a token whose use is remembered: it may have been
// judged just before that end, and by a clock that is somewhat behind.
const slack = time.Minute

// Admission is a request that was let through.
type Admission struct {
	// Payment is what was paid, nil if the request is free.
	Payment *Payment

	gate    *Gate
	request *http.Request
	// take is under which id the use of the token was noted; empty if it was not.
	take string
	done sync.Once
}

// Request is the request with the payment in its context, see [PaymentFrom]. Its
// headers still hold the token: a proxy must not send them on to strangers.
func (a *Admission) Request() *http.Request { return a.request }

// Done must be called once, with the status that the handler answered. 0, for
// none, and 5xx give the token of a gate with Once back.
func (a *Admission) Done(status int) {
	if a.take == "" || (status > 0 && status < http.StatusInternalServerError) {
		return
	}
	a.done.Do(func() {
		// The client may have left, and still must get back what it paid for.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.request.Context()), usesTimeout)
		defer cancel()
		if err := a.gate.config.Uses.GiveBack(ctx, a.take); err != nil {
			a.gate.config.Log.Error("gate: the use of a token was not given back", "charge_id", a.Payment.ChargeID, "error", err)
		}
	})
}

// admit lets a request through.
func (g *Gate) admit(r *http.Request, credential *l402.Credential, asked l402.Request) *Admission {
	payment := paymentOf(credential.Macaroon, asked)

	return &Admission{Payment: payment, gate: g, request: r.WithContext(context.WithValue(r.Context(), paymentKey{}, payment))}
}

// takeOnce notes the use of a token that opens one request only, and says
// whether it is the first.
func (a *Admission) takeOnce(credential *l402.Credential, asked l402.Request) (bool, error) {
	if !a.gate.config.Once {
		return true, nil
	}
	// A store that is interrupted may have noted the use, and nobody would know.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.request.Context()), usesTimeout)
	defer cancel()
	a.take = hex.EncodeToString(credential.Macaroon.ID.TokenID[:])
	first, err := a.gate.config.Uses.Take(ctx, a.take, mintedEnd(credential.Macaroon, asked.Service))
	if err != nil {
		err = &unavailableError{"The gate cannot tell whether the token was used.", fmt.Errorf("gate: take the use of a token: %w", err)}
	} else if first && a.request.Context().Err() != nil {
		a.Done(0)
		err = &unavailableError{detail: "The client has left."}
	}

	return first, err
}

// mintedEnd is until when the use of a token must be remembered. The first caveat
// counts, which is the minter's: a holder who adds an earlier end still has the
// token without it. It is zero for a token that does not end.
func mintedEnd(macaroon *l402.Macaroon, service string) time.Time {
	ends := values(macaroon, l402.ValidUntil(service, time.Time{}))
	if len(ends) == 0 {
		return time.Time{}
	}

	return unix(ends[0]).Add(slack)
}

// Payment is what opened the gate.
type Payment struct {
	// ChargeID is the charge that was paid.
	ChargeID string
	// PaymentHash is its invoice's, in hex.
	PaymentHash string
	// AmountMsat is what the token has cost, in millisatoshi.
	AmountMsat int64
	// Service and Resource are what it is good for.
	Service, Resource string
	// ValidUntil is when it ends, zero if it does not.
	ValidUntil time.Time
	// Caveats are all of the token's but its preimage.
	Caveats []l402.Caveat
}

type paymentKey struct{}

// PaymentFrom is the payment that a request was let through for. There is none
// if it was free.
func PaymentFrom(ctx context.Context) (*Payment, bool) {
	payment, ok := ctx.Value(paymentKey{}).(*Payment)

	return payment, ok
}

func paymentOf(macaroon *l402.Macaroon, asked l402.Request) *Payment {
	payment := &Payment{
		ChargeID: macaroon.ID.ChargeID(), PaymentHash: hex.EncodeToString(macaroon.ID.PaymentHash[:]),
		Service: asked.Service, Resource: asked.Resource,
		Caveats: slices.DeleteFunc(slices.Clone(macaroon.Caveats), func(c l402.Caveat) bool { return c.Condition == "preimage" }),
	}
	// The first is as it was minted; the last ends the token.
	if amounts := values(macaroon, l402.Amount(asked.Service, 0)); len(amounts) > 0 {
		payment.AmountMsat, _ = strconv.ParseInt(amounts[0], 10, 64)
	}
	if ends := values(macaroon, l402.ValidUntil(asked.Service, time.Time{})); len(ends) > 0 {
		payment.ValidUntil = unix(ends[len(ends)-1])
	}

	return payment
}

// values are those of a token's caveats that have the condition of like.
func values(macaroon *l402.Macaroon, like l402.Caveat) (found []string) {
	for _, caveat := range macaroon.Caveats {
		if caveat.Condition == like.Condition {
			found = append(found, caveat.Value)
		}
	}

	return found
}

// unix reads a time that l402 has accepted.
func unix(text string) time.Time {
	seconds, _ := strconv.ParseInt(text, 10, 64)

	return time.Unix(seconds, 0)
}

// receipt is what the client is told of its payment. It proves nothing.
type receipt struct {
	Method      string    `json:"method"`
	ChallengeID string    `json:"challengeId"`
	Reference   string    `json:"reference"`
	Status      string    `json:"status"`
	Timestamp   time.Time `json:"timestamp"`
}

// receipt is the value of its header.
func (p *Payment) receipt(now time.Time) string {
	text, err := json.Marshal(receipt{
		Method: "lightning", ChallengeID: p.ChargeID, Reference: p.PaymentHash, Status: "success",
		Timestamp: now.UTC().Truncate(time.Second),
	})
	if err != nil {
		return "" // Not in the next 8000 years, see time.Time.MarshalJSON.
	}

	return base64.RawURLEncoding.EncodeToString(text)
}
