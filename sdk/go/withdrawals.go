package lntpay

import (
	"context"
	"iter"
	"time"
)

// Withdrawals are payments of anybody's bolt11 invoices from the available
// balance.
type Withdrawals struct{ c *Client }

// WithdrawalStatus is where a withdrawal stands. It is over when it has
// succeeded or failed.
type WithdrawalStatus string

// The statuses of a withdrawal. The funds are locked while it is pending or in
// flight; a recipient can hold it in flight for days.
const (
	WithdrawalPending   WithdrawalStatus = "pending"
	WithdrawalInFlight  WithdrawalStatus = "in_flight"
	WithdrawalSucceeded WithdrawalStatus = "succeeded"
	WithdrawalFailed    WithdrawalStatus = "failed"
)

// FailureCode says why a withdrawal failed.
type FailureCode string

// The reasons of a failure. More may come.
const (
	FailureNoRoute              FailureCode = "no_route"
	FailureInsufficientFeeLimit FailureCode = "insufficient_fee_limit"
	FailureRejectedByRecipient  FailureCode = "rejected_by_recipient"
	FailureTimeout              FailureCode = "timeout"
	FailureNotDispatched        FailureCode = "not_dispatched"
	FailurePaidElsewhere        FailureCode = "paid_elsewhere"
	FailureNodeError            FailureCode = "node_error"
)

// Withdrawal is the payment of an invoice. What does not apply is empty, zero or
// nil.
type Withdrawal struct {
	ID          string           `json:"id"`
	Environment Environment      `json:"environment"`
	Status      WithdrawalStatus `json:"status"`
	// UnderReview means that an operator is looking at it; until then nothing is
	// sent, debited or returned.
	UnderReview bool  `json:"under_review"`
	AmountMsat  int64 `json:"amount_msat"`
	MaxFeeMsat  int64 `json:"max_fee_msat"`
	// FeeMsat is what routing cost, once succeeded.
	FeeMsat     int64  `json:"fee_msat"`
	PaymentHash string `json:"payment_hash"`
	// Destination is the recipient's public key.
	Destination string `json:"destination"`
	// Preimage is the proof of payment, once succeeded. Events do not have it.
	Preimage    string             `json:"preimage"`
	Bolt11      string             `json:"bolt11"`
	Description string             `json:"description"`
	Metadata    map[string]string  `json:"metadata"`
	ExternalID  string             `json:"external_id"`
	Failure     *WithdrawalFailure `json:"failure"`
	// InFlight is what is known of a payment that is under way.
	InFlight    *InFlight `json:"in_flight"`
	CreatedAt   time.Time `json:"created_at"`
	CompletedAt time.Time `json:"completed_at,omitzero"`
}

// Over tells whether a withdrawal has succeeded or failed.
func (w *Withdrawal) Over() bool {
	return w.Status == WithdrawalSucceeded || w.Status == WithdrawalFailed
}

// WithdrawalFailure says why a withdrawal failed. Its funds are available
// again.
type WithdrawalFailure struct {
	Code    FailureCode `json:"code"`
	Message string      `json:"message"`
}

// InFlight is what is known of a payment that is under way.
type InFlight struct {
	// Since is when the node was first asked to pay.
	Since time.Time `json:"since"`
	// Sends is how often it was asked; it pays a payment hash once.
	Sends int64 `json:"sends"`
	// HTLCAttempts is how many routes it has tried.
	HTLCAttempts int64 `json:"htlc_attempts"`
	// HTLCExpiryHeight is the block by which the payment has ended either way;
	// zero while no HTLC is out.
	HTLCExpiryHeight int64 `json:"htlc_expiry_height"`
	// CheckedAt is when the node was last asked how it stands.
	CheckedAt time.Time `json:"checked_at,omitzero"`
}

// WithdrawalParams describe a new withdrawal.
type WithdrawalParams struct {
	// Bolt11 is the invoice to pay; it is required.
	Bolt11 string `json:"bolt11"`
	// AmountMsat is required for an invoice without an amount, and not allowed
	// for another.
	AmountMsat int64 `json:"amount_msat,omitempty"`
	// MaxFeeMsat is the most that routing may cost. Without one it is 0.5 % of
	// the amount and at least 5 sats, unless the operator has set otherwise;
	// 0 means routes without a fee only: new(int64(0)).
	MaxFeeMsat *int64 `json:"max_fee_msat,omitempty"`
	// Description is for you, in at most 639 bytes; the recipient does not see
	// it.
	Description string `json:"description,omitempty"`
	// Metadata is for you: at most 50 pairs of 40 and 500 characters.
	Metadata map[string]string `json:"metadata,omitempty"`
	// ExternalID is an id of yours, by which withdrawals can be listed.
	ExternalID string `json:"external_id,omitempty"`
}

// WithdrawalFilter selects withdrawals; zero fields select all.
type WithdrawalFilter struct {
	Status        WithdrawalStatus
	ExternalID    string
	CreatedAfter  time.Time
	CreatedBefore time.Time
	// PageSize is how many are fetched at a time: 1 to 100, 100 if zero.
	PageSize int
}

const withdrawalsPath = "/v1/withdrawals"

// Create locks the amount and the fee limit and pays the invoice; Wait tells how
// it ends. An invoice is paid once: while a withdrawal of it has not failed,
// another is [ErrDuplicatePayment]. It needs the scope withdrawals:write.
//
// Money is at stake, so keep what you pay for together with a key of your own,
// and give it by [WithIdempotencyKey]: after a crash the same call finds the
// withdrawal or makes it.
func (s *Withdrawals) Create(ctx context.Context, params WithdrawalParams, options ...WriteOption) (*Withdrawal, error) {
	return call[Withdrawal](ctx, s.c, post(withdrawalsPath, params, options))
}

// Get is a withdrawal as it is. It needs the scope withdrawals:read, as Wait,
// List and Quote do.
func (s *Withdrawals) Get(ctx context.Context, id string) (*Withdrawal, error) {
	return call[Withdrawal](ctx, s.c, get(withdrawalsPath, nil).on(id, ""))
}

// Wait waits until a withdrawal has succeeded or failed, which can take days
// when the recipient holds it. When the context ends before, it returns the
// withdrawal as it last was, if it knows, with the error. A withdrawal that
// failed is no error: look at its Status.
func (s *Withdrawals) Wait(ctx context.Context, id string) (*Withdrawal, error) {
	return wait(ctx, s.c, withdrawalsPath, id, (*Withdrawal).Over)
}

// List is the withdrawals, the newest first.
func (s *Withdrawals) List(ctx context.Context, filter WithdrawalFilter) iter.Seq2[*Withdrawal, error] {
	return list[Withdrawal](ctx, s.c, withdrawalsPath, query(
		"status", string(filter.Status), "external_id", filter.ExternalID,
		"created_after", timeText(filter.CreatedAfter), "created_before", timeText(filter.CreatedBefore),
	), filter.PageSize)
}

// QuoteParams say what to quote.
type QuoteParams struct {
	// Bolt11 is the invoice; it is required.
	Bolt11 string `json:"bolt11"`
	// AmountMsat is required for an invoice without an amount, and not allowed
	// for another.
	AmountMsat int64 `json:"amount_msat,omitempty"`
}

// Quote is what a withdrawal would cost now. Nothing is promised by it.
type Quote struct {
	Environment Environment `json:"environment"`
	AmountMsat  int64       `json:"amount_msat"`
	// EstimatedFeeMsat is what the node's best route costs; nil when it knows
	// none.
	EstimatedFeeMsat *int64 `json:"estimated_fee_msat"`
	// MaxFeeMsat is the fee limit of a withdrawal that names none.
	MaxFeeMsat int64 `json:"max_fee_msat"`
	// TotalLockedMsat is the amount and that limit.
	TotalLockedMsat int64 `json:"total_locked_msat"`
	AvailableMsat   int64 `json:"available_msat"`
	// MaxWithdrawableMsat is the largest amount that the balance covers with its
	// default fee limit, and that one withdrawal may have.
	MaxWithdrawableMsat int64 `json:"max_withdrawable_msat"`
	// Sufficient tells whether the balance covers it. It says nothing of limits,
	// duplicates or freezes.
	Sufficient bool `json:"sufficient"`
}

// Quote judges an invoice and says what paying it would cost. Nothing is locked.
func (s *Withdrawals) Quote(ctx context.Context, params QuoteParams) (*Quote, error) {
	r := post(withdrawalsPath+"/quote", params, nil)
	// There is no outcome that a key could keep.
	r.key = ""

	return call[Quote](ctx, s.c, r)
}
