package lntpay

import (
	"context"
	"iter"
	"time"
)

// Charges are requests for money: a bolt11 invoice that anybody may pay.
type Charges struct{ c *Client }

// ChargeStatus is where a charge stands. Other than [ChargePending] it is
// closed.
type ChargeStatus string

// The statuses of a charge. An expired or canceled one can no longer be paid,
// unless the node took a payment late: money wins, and it is paid after all.
const (
	ChargePending  ChargeStatus = "pending"
	ChargePaid     ChargeStatus = "paid"
	ChargeExpired  ChargeStatus = "expired"
	ChargeCanceled ChargeStatus = "canceled"
)

// Environment is sandbox or production.
type Environment string

// The environments, which never meet. The API key decides.
const (
	Sandbox    Environment = "sandbox"
	Production Environment = "production"
)

// Charge is a request for money. What does not apply is empty or zero.
type Charge struct {
	ID          string       `json:"id"`
	Environment Environment  `json:"environment"`
	Status      ChargeStatus `json:"status"`
	AmountMsat  int64        `json:"amount_msat"`
	// AmountPaidMsat is what was credited; an overpayment is credited in full.
	AmountPaidMsat int64  `json:"amount_paid_msat"`
	Description    string `json:"description"`
	// Bolt11 is the invoice to pay.
	Bolt11      string            `json:"bolt11"`
	PaymentHash string            `json:"payment_hash"`
	Metadata    map[string]string `json:"metadata"`
	ExternalID  string            `json:"external_id"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	PaidAt      time.Time         `json:"paid_at,omitzero"`
	// Warnings may say insufficient_inbound: the node could not have received
	// the amount when the charge was made.
	Warnings []string `json:"warnings"`
}

// ChargeParams describe a new charge.
type ChargeParams struct {
	// AmountMsat is required.
	AmountMsat int64 `json:"amount_msat"`
	// Description is carried in the invoice, in at most 639 bytes.
	Description string `json:"description,omitempty"`
	// ExpiresIn is a minute to a week, an hour if zero, in whole seconds.
	ExpiresIn time.Duration `json:"-"`
	// Metadata is for you: at most 50 pairs of 40 and 500 characters.
	Metadata map[string]string `json:"metadata,omitempty"`
	// ExternalID is an id of yours, by which charges can be listed.
	ExternalID string `json:"external_id,omitempty"`
}

// chargeBody is ChargeParams as the API takes them.
type chargeBody struct {
	ChargeParams
	ExpiresIn int64 `json:"expires_in,omitempty"`
}

func (p ChargeParams) body() chargeBody { return chargeBody{p, wholeSeconds(p.ExpiresIn)} }

// ChargeFilter selects charges; zero fields select all.
type ChargeFilter struct {
	Status        ChargeStatus
	ExternalID    string
	CreatedAfter  time.Time
	CreatedBefore time.Time
	// PageSize is how many are fetched at a time: 1 to 100, 100 if zero.
	PageSize int
}

const chargesPath = "/v1/charges"

// Create makes a charge, with an invoice to be paid. It needs the scope
// charges:write.
func (s *Charges) Create(ctx context.Context, params ChargeParams, options ...WriteOption) (*Charge, error) {
	return call[Charge](ctx, s.c, post(chargesPath, params.body(), options))
}

// Get is a charge as it is. It needs the scope charges:read, as Wait, List and
// Usage do.
func (s *Charges) Get(ctx context.Context, id string) (*Charge, error) {
	return call[Charge](ctx, s.c, get(chargesPath, nil).on(id, ""))
}

// Wait waits until a charge is paid, expired or canceled. When the context ends
// before, it returns the charge as it last was, if it knows, with the error.
func (s *Charges) Wait(ctx context.Context, id string) (*Charge, error) {
	return wait(ctx, s.c, chargesPath, id, func(charge *Charge) bool { return charge.Status != ChargePending })
}

// List is the charges, the newest first.
func (s *Charges) List(ctx context.Context, filter ChargeFilter) iter.Seq2[*Charge, error] {
	return list[Charge](ctx, s.c, chargesPath, query(
		"status", string(filter.Status), "external_id", filter.ExternalID,
		"created_after", timeText(filter.CreatedAfter), "created_before", timeText(filter.CreatedBefore),
	), filter.PageSize)
}

// Cancel makes a charge unpayable. Again is fine; one that is paid, being paid
// or expired is [ErrChargeNotCancelable]. It needs the scope charges:write.
func (s *Charges) Cancel(ctx context.Context, id string, options ...WriteOption) (*Charge, error) {
	return call[Charge](ctx, s.c, post(chargesPath, nil, options).on(id, "/cancel"))
}

// Interval is the length of a [UsageBucket].
type Interval string

// The intervals, in UTC.
const (
	Hour Interval = "hour"
	Day  Interval = "day"
)

// UsageParams say what to count.
type UsageParams struct {
	// From is 24 hours or 30 days before To if zero.
	From time.Time
	// To is the present if zero.
	To time.Time
	// Interval is Hour if empty. There are at most 1000 between From and To.
	Interval Interval
}

// UsageBucket counts the charges that were created in an interval, by what has
// become of them since.
type UsageBucket struct {
	Start          time.Time `json:"start"`
	Created        int64     `json:"created"`
	Paid           int64     `json:"paid"`
	Expired        int64     `json:"expired"`
	Canceled       int64     `json:"canceled"`
	AmountMsat     int64     `json:"amount_msat"`
	AmountPaidMsat int64     `json:"amount_paid_msat"`
}

// Usage counts charges over time, the oldest interval first, empty ones
// included.
func (s *Charges) Usage(ctx context.Context, params UsageParams) ([]*UsageBucket, error) {
	answer, err := call[page[UsageBucket]](ctx, s.c, get(chargesPath+"/usage", query(
		"from", timeText(params.From), "to", timeText(params.To), "interval", string(params.Interval),
	)))
	if err != nil {
		return nil, err
	}

	return answer.Data, nil
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
