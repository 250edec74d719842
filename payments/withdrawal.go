package payments

import (
	"encoding/hex"
	"encoding/json"
	"time"
)

// WithdrawalStatus is where a withdrawal stands in its row.
type WithdrawalStatus string

// The statuses of a withdrawal: held → sending → following → succeeded |
// failed. Held has locked funds and was never sent; following means that what
// the node did with it is read from the node. The moves are the
// compare-and-swaps of store/queries/withdrawal.sql.
const (
	WithdrawalHeld      WithdrawalStatus = "held"
	WithdrawalSending   WithdrawalStatus = "sending"
	WithdrawalFollowing WithdrawalStatus = "following"
	WithdrawalSucceeded WithdrawalStatus = "succeeded"
	WithdrawalFailed    WithdrawalStatus = "failed"
)

// The public names of what is not over yet: pending until the first send.
const (
	withdrawalPending  = "pending"
	withdrawalInFlight = "in_flight"
)

// PublicWithdrawalStatuses are those that a client can see and filter by.
func PublicWithdrawalStatuses() []string {
	return []string{withdrawalPending, withdrawalInFlight, string(WithdrawalSucceeded), string(WithdrawalFailed)}
}

// Closed reports whether the withdrawal is over.
func (s WithdrawalStatus) Closed() bool { return s == WithdrawalSucceeded || s == WithdrawalFailed }

// Public is the status that a client sees.
func (s WithdrawalStatus) Public() string {
	switch s {
	case WithdrawalHeld:
		return withdrawalPending
	case WithdrawalSending, WithdrawalFollowing:
		return withdrawalInFlight
	case WithdrawalSucceeded, WithdrawalFailed:
	}

	return string(s)
}

// StoredWithdrawalStatuses are the statuses in the row behind a public one.
func StoredWithdrawalStatuses(public string) []string {
	switch public {
	case withdrawalPending:
		return []string{string(WithdrawalHeld)}
	case withdrawalInFlight:
		return []string{string(WithdrawalSending), string(WithdrawalFollowing)}
	}

	return []string{public}
}

// WithdrawalKind says how a withdrawal is paid.
type WithdrawalKind string

// The kinds: over the Lightning network, or from account to account when the
// invoice is a charge of our own.
const (
	WithdrawalLightning WithdrawalKind = "lightning"
	WithdrawalBook      WithdrawalKind = "book"
)

// FailureCode says why a withdrawal failed; clients switch on it.
type FailureCode string

// The failure codes of the public contract.
const (
	FailureNoRoute             FailureCode = "no_route"
	FailureInsufficientFee     FailureCode = "insufficient_fee_limit"
	FailureRejectedByRecipient FailureCode = "rejected_by_recipient"
	FailureTimeout             FailureCode = "timeout"
	FailureNotDispatched       FailureCode = "not_dispatched"
	FailurePaidElsewhere       FailureCode = "paid_elsewhere"
	FailureNodeError           FailureCode = "node_error"
)

// failureMessages are sentences for a developer; no text of lnd's.
var failureMessages = map[FailureCode]string{
	FailureNoRoute:             "No route to the destination could carry the amount. The funds are available again.",
	FailureInsufficientFee:     "Every route costs more than max_fee_msat. The funds are available again.",
	FailureRejectedByRecipient: "The recipient refused the payment. The funds are available again.",
	FailureTimeout:             "No attempt succeeded in time. The funds are available again.",
	FailureNotDispatched:       "The payment was never sent and no longer can be. The funds are available again.",
	FailurePaidElsewhere:       "The invoice was paid by another payment. The funds are available again.",
	FailureNodeError:           "The node could not make the payment. The funds are available again.",
}

// Message is the sentence that goes with the code.
func (c FailureCode) Message() string { return failureMessages[c] }

// WithdrawalRequest is a validated POST /v1/withdrawals, as the claim stores it
// and as the holding activity reads it back: no message carries money.
type WithdrawalRequest struct {
	// Bolt11 is in lower case without a "lightning:" prefix.
	Bolt11 string `json:"bolt11"`
	// AmountMsat is what is paid: the invoice's own amount, or the request's
	// where the invoice has none.
	AmountMsat Msat `json:"amount_msat"`
	// Amountless says that the invoice names no amount.
	Amountless  bool   `json:"amountless"`
	MaxFeeMsat  Msat   `json:"max_fee_msat"`
	PaymentHash string `json:"payment_hash"`
	// Destination is the payee's pubkey in hex.
	Destination string    `json:"destination"`
	ExpiresAt   time.Time `json:"expires_at"`

	Description *string           `json:"description"`
	Metadata    map[string]string `json:"metadata"`
	ExternalID  *string           `json:"external_id"`
}

// InFlight is what is known of a payment that is under way.
type InFlight struct {
	// Since is when it was first handed to the node.
	Since time.Time
	// Sends is how often it was; the node deduplicates by payment hash.
	Sends int
	// HTLCAttempts is how many routes the node has tried.
	HTLCAttempts int
	// HTLCExpiryHeight is the block by which the last HTLC has ended; 0 where
	// none is out.
	HTLCExpiryHeight int64
	// CheckedAt is when the node was last read.
	CheckedAt *time.Time
}

// Withdrawal is a payment of an outside invoice from a workspace's balance.
type Withdrawal struct {
	ID          string
	WorkspaceID string
	Environment Environment
	Kind        WithdrawalKind
	Status      WithdrawalStatus
	UnderReview bool
	AmountMsat  Msat
	MaxFeeMsat  Msat
	// FeeMsat is what the client paid for routing; at most MaxFeeMsat.
	FeeMsat     Msat
	PaymentHash []byte
	Destination string
	// Preimage is the proof of payment, 32 bytes once succeeded. It is shown
	// to keys with withdrawals:read and never in an event or a log.
	Preimage    []byte
	Bolt11      string
	Description *string
	Metadata    map[string]string
	ExternalID  *string
	Failure     FailureCode
	CreatedAt   time.Time
	CompletedAt *time.Time
	// InFlight is nil unless the payment is under way.
	InFlight *InFlight
}

// failureObject is the public shape of a failure.
type failureObject struct {
	Code    FailureCode `json:"code"`
	Message string      `json:"message"`
}

// inFlightObject is the public shape of InFlight.
type inFlightObject struct {
	Since            time.Time  `json:"since"`
	Sends            int        `json:"sends"`
	HTLCAttempts     int        `json:"htlc_attempts"`
	HTLCExpiryHeight *int64     `json:"htlc_expiry_height"`
	CheckedAt        *time.Time `json:"checked_at"`
}

// withdrawalObject is the public shape; its field order is the order on the
// wire.
type withdrawalObject struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	Environment Environment       `json:"environment"`
	Status      string            `json:"status"`
	UnderReview bool              `json:"under_review"`
	AmountMsat  Msat              `json:"amount_msat"`
	MaxFeeMsat  Msat              `json:"max_fee_msat"`
	FeeMsat     Msat              `json:"fee_msat"`
	PaymentHash string            `json:"payment_hash"`
	Destination string            `json:"destination"`
	Preimage    *string           `json:"preimage"`
	Bolt11      string            `json:"bolt11"`
	Description *string           `json:"description"`
	Metadata    map[string]string `json:"metadata"`
	ExternalID  *string           `json:"external_id"`
	Failure     *failureObject    `json:"failure"`
	InFlight    *inFlightObject   `json:"in_flight"`
	CreatedAt   time.Time         `json:"created_at"`
	CompletedAt *time.Time        `json:"completed_at"`
}

// MarshalJSON writes the withdrawal as the public object.
func (w Withdrawal) MarshalJSON() ([]byte, error) {
	object := withdrawalObject{
		ID: w.ID, Object: "withdrawal", Environment: w.Environment, Status: w.Status.Public(),
		UnderReview: w.UnderReview, AmountMsat: w.AmountMsat, MaxFeeMsat: w.MaxFeeMsat, FeeMsat: w.FeeMsat,
		PaymentHash: hex.EncodeToString(w.PaymentHash), Destination: w.Destination, Bolt11: w.Bolt11,
		Description: w.Description, Metadata: w.Metadata, ExternalID: w.ExternalID,
		CreatedAt: w.CreatedAt.UTC(), CompletedAt: utc(w.CompletedAt),
	}
	if object.Metadata == nil {
		object.Metadata = map[string]string{}
	}
	if len(w.Preimage) > 0 {
		preimage := hex.EncodeToString(w.Preimage)
		object.Preimage = &preimage
	}
	if w.Failure != "" {
		object.Failure = &failureObject{Code: w.Failure, Message: w.Failure.Message()}
	}
	if w.InFlight != nil {
		object.InFlight = w.InFlight.object()
	}

	return json.Marshal(object)
}

func (i *InFlight) object() *inFlightObject {
	object := &inFlightObject{
		Since: i.Since.UTC(), Sends: i.Sends, HTLCAttempts: i.HTLCAttempts, CheckedAt: utc(i.CheckedAt),
	}
	if i.HTLCExpiryHeight > 0 {
		object.HTLCExpiryHeight = &i.HTLCExpiryHeight
	}

	return object
}

func utc(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	in := at.UTC()

	return &in
}
