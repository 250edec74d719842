package workflows

import (
	"errors"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// The task queues. Webhooks have one of their own: a slow endpoint must not
// take the slots of payments.
const (
	TaskQueuePayments = "payments"
	TaskQueueWebhooks = "webhooks"
)

// Workflow ids are the ids of the resources behind a word that says the kind.
const (
	chargeIDPrefix   = "charge/"
	deliveryIDPrefix = "delivery/"
)

// ErrOutcomeUnknown says that nothing was decided in time: nothing is frozen,
// a repeat with the same claim finds out.
var ErrOutcomeUnknown = errors.New("workflows: outcome unknown")

// ChargeRef names a charge to the orchestrator: enough for the workflow id and
// the search attributes, nothing that moves money.
type ChargeRef struct {
	ID          string
	WorkspaceID string
	AmountMsat  payments.Msat
}

// OpenCharge is the argument of the update that opens a charge.
type OpenCharge struct {
	ChargeID string
	// StartBy is compared with Postgres' clock in the transaction that would
	// open the charge; past it nothing is decided.
	StartBy time.Time
}

// CancelCharge is the argument of the update that cancels a charge.
type CancelCharge struct {
	ChargeID string
	// ClaimID is the claim of the POST that asks, in which the answer is
	// frozen.
	ClaimID string
	StartBy time.Time
}

// DeliveryInput starts a delivery's workflow.
type DeliveryInput struct {
	DeliveryID string
}

// AttemptResult is what an attempt to deliver came to. Done: succeeded, failed
// for good, or nothing left to do; else the next attempt is due in NextIn.
type AttemptResult struct {
	Done   bool
	NextIn time.Duration
}

// Names of the activities.
const (
	ActivityAttemptDelivery = "AttemptDelivery"
)
