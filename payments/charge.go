package payments

import (
	"encoding/hex"
	"encoding/json"
	"time"
)

// ChargeStatus is where a charge stands. Creating is internal: a charge in it
// is answered as not found.
type ChargeStatus string

// The statuses of a charge: creating → pending → paid | expired | canceled.
// Money wins: what the node settled becomes paid from any of them. The moves
// are the compare-and-swaps of store/queries/charge.sql.
const (
	ChargeCreating ChargeStatus = "creating"
	ChargePending  ChargeStatus = "pending"
	ChargePaid     ChargeStatus = "paid"
	ChargeExpired  ChargeStatus = "expired"
	ChargeCanceled ChargeStatus = "canceled"
)

// PublicChargeStatuses are those that a client can see and filter by.
func PublicChargeStatuses() []ChargeStatus {
	return []ChargeStatus{ChargePending, ChargePaid, ChargeExpired, ChargeCanceled}
}

// Closed reports whether nothing is awaited any more: paid, expired, canceled.
func (s ChargeStatus) Closed() bool {
	return s == ChargePaid || s == ChargeExpired || s == ChargeCanceled
}

// WarningInsufficientInbound says that the node could not have received the
// amount when the charge was created.
const WarningInsufficientInbound = "insufficient_inbound"

// Limits of a charge request, from the public contract.
const (
	MaxDescriptionBytes   = 639 // BOLT11's longest description.
	MaxMetadataPairs      = 50
	MaxMetadataKeyChars   = 40
	MaxMetadataValueChars = 500
	MaxExternalIDChars    = 255
	MinExpiresInSeconds   = 60
	MaxExpiresInSeconds   = 604_800
	// DefaultExpiresInSeconds holds where the request names no expiry.
	DefaultExpiresInSeconds = 3600
	// DefaultMaxAmount is the largest charge unless configured: 10 M sats.
	DefaultMaxAmount = 10_000_000 * MsatPerSat
)

// ChargeRequest is a validated POST /v1/charges, as the claim stores it and as
// the opening activity reads it back: no message carries money.
type ChargeRequest struct {
	AmountMsat  Msat              `json:"amount_msat"`
	Description *string           `json:"description"`
	ExpiresInS  int32             `json:"expires_in_s"`
	Metadata    map[string]string `json:"metadata"`
	ExternalID  *string           `json:"external_id"`
	// L402Resource is what the L402 token that the charge is for opens; nil for
	// any other charge.
	L402Resource *string `json:"l402_resource,omitempty"`
}

// Charge is one request for money and what became of it.
type Charge struct {
	ID             string
	WorkspaceID    string
	Environment    Environment
	Status         ChargeStatus
	AmountMsat     Msat
	AmountPaidMsat Msat
	Description    *string
	Bolt11         string
	PaymentHash    []byte
	Metadata       map[string]string
	ExternalID     *string
	CreatedAt      time.Time
	ExpiresAt      time.Time
	PaidAt         *time.Time
	Warnings       []string
}

// chargeObject is the public shape; its field order is the order on the wire.
type chargeObject struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Environment    Environment       `json:"environment"`
	Status         ChargeStatus      `json:"status"`
	AmountMsat     Msat              `json:"amount_msat"`
	AmountPaidMsat Msat              `json:"amount_paid_msat"`
	Description    *string           `json:"description"`
	Bolt11         string            `json:"bolt11"`
	PaymentHash    string            `json:"payment_hash"`
	Metadata       map[string]string `json:"metadata"`
	ExternalID     *string           `json:"external_id"`
	CreatedAt      time.Time         `json:"created_at"`
	ExpiresAt      time.Time         `json:"expires_at"`
	PaidAt         *time.Time        `json:"paid_at"`
	Warnings       []string          `json:"warnings"`
}

// MarshalJSON writes the charge as the public object.
func (c Charge) MarshalJSON() ([]byte, error) {
	object := chargeObject{
		ID: c.ID, Object: "charge", Environment: c.Environment, Status: c.Status,
		AmountMsat: c.AmountMsat, AmountPaidMsat: c.AmountPaidMsat,
		Description: c.Description, Bolt11: c.Bolt11,
		PaymentHash: hex.EncodeToString(c.PaymentHash),
		Metadata:    c.Metadata, ExternalID: c.ExternalID,
		CreatedAt: c.CreatedAt.UTC(), ExpiresAt: c.ExpiresAt.UTC(), PaidAt: c.PaidAt,
		Warnings: c.Warnings,
	}
	if object.Metadata == nil {
		object.Metadata = map[string]string{}
	}
	if object.Warnings == nil {
		object.Warnings = []string{}
	}
	if c.PaidAt != nil {
		paidAt := c.PaidAt.UTC()
		object.PaidAt = &paidAt
	}

	return json.Marshal(object)
}
