package workflows

import (
	"errors"
	"time"

	"github.com/lntpay/lntpay/payments"
)

// The task queues. Webhooks have one of their own: slow endpoints must not take
// the slots of payments, nor many deliveries come before them.
const (
	TaskQueuePayments = "payments"
	TaskQueueWebhooks = "webhooks"
)

// Names of workflows, updates, signals and queries, as operators read them in
// the Temporal UI. They are in recorded histories: never rename one.
const (
	NameCharge      = "Charge"
	NameWithdrawal  = "Withdrawal"
	NameQuote       = "Quote"
	NameSandbox     = "Sandbox"
	NameDelivery    = "Delivery"
	NameNodeWatcher = "NodeWatcher"
	NameSweeper     = "Sweeper"
	NameReconcile   = "Reconcile"

	UpdateOpen   = "open"
	UpdateHold   = "hold"
	UpdateCancel = "cancel"
	UpdateDecide = "decide"
	UpdateNudge  = "nudge"
	// UpdateReconcile asks for a reconciliation now.
	UpdateReconcile = "reconcile"
	SignalNudge     = "nudge"
	SignalRetry     = "retry"
	QueryState      = "state"
)

// Names of activities.
const (
	ActivityOpenCharge        = "OpenCharge"
	ActivityLookAtCharge      = "LookAtCharge"
	ActivitySettleCharge      = "SettleCharge"
	ActivityExpireCharge      = "ExpireCharge"
	ActivityCancelCharge      = "CancelCharge"
	ActivityHoldWithdrawal    = "HoldWithdrawal"
	ActivityLookAtWithdrawal  = "LookAtWithdrawal"
	ActivitySendWithdrawal    = "SendWithdrawal"
	ActivityFollowWithdrawal  = "FollowWithdrawal"
	ActivitySettleByBook      = "SettleByBook"
	ActivityResolveWithdrawal = "ResolveWithdrawal"
	ActivityEstimateFee       = "EstimateFee"
	ActivityDecideSandbox     = "DecideSandbox"
	ActivityPaySandboxCharge  = "PaySandboxCharge"
	ActivityAttemptDelivery   = "AttemptDelivery"
	ActivityCancelDelivery    = "CancelDelivery"
	ActivityWatchNode         = "WatchNode"
	ActivitySweepNode         = "SweepNode"
	ActivitySweepRows         = "SweepRows"
	ActivityReconcileBooks    = "ReconcileBooks"
	ActivityReconcileNode     = "ReconcileNode"
	ActivityFinishReconcile   = "FinishReconcile"
)

// Types of application errors that workflows tell apart.
const (
	// ErrTypeRowMissing ends a run: only opening creates a row.
	ErrTypeRowMissing = "RowMissing"
	// ErrTypeOutcomeUnknown says that start_by passed with nothing decided.
	ErrTypeOutcomeUnknown = "OutcomeUnknown"
	// ErrTypeOtherNode ends the watcher or sweeper of a node that no worker
	// serves by this name.
	ErrTypeOtherNode = "OtherNode"
	// ErrTypeNotPaid ends the attempts at a sandbox payment: another would fail
	// too.
	ErrTypeNotPaid = "NotPaid"
	// ErrTypePaymentFailed is an attempt at a sandbox payment that has failed
	// for sure; another may not.
	ErrTypePaymentFailed = "PaymentFailed"
)

// Workflow ids are the ids of the resources behind a word that says the kind.
const (
	chargeIDPrefix     = "charge/"
	withdrawalIDPrefix = "withdrawal/"
	quoteIDPrefix      = "quote/"
	sandboxIDPrefix    = "sandbox/"
	deliveryIDPrefix   = "delivery/"
	watcherIDPrefix    = "node-watcher/"
	sweeperIDPrefix    = "sweeper/"
	reconcileIDPrefix  = "reconcile/"
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

// ChargeInput starts a charge's workflow.
type ChargeInput struct {
	ChargeID string
	// Look says that the run was started by a nudge or the sweeper and looks
	// at its row at once, instead of waiting for an update.
	Look bool
	// Open comes with a start in place of the update, where API and worker are
	// one process.
	Open *OpenCharge `json:",omitempty"`
}

// OpenCharge is the argument of the update that opens a charge.
type OpenCharge struct {
	ChargeID string
	// StartBy is compared with Postgres' clock in the transaction that would
	// open the charge; past it nothing is decided.
	StartBy time.Time
}

// Nudge is the argument of the update that nudges the run of a row: the signal
// of the same name, at a lower price.
type Nudge struct {
	ID string
}

// CancelCharge is the argument of the update that cancels a charge.
type CancelCharge struct {
	ChargeID string
	// ClaimID is the claim of the POST that asks, in which the answer is
	// frozen.
	ClaimID string
	StartBy time.Time
}

// ChargeState is what every charge activity returns: the row as it left it,
// which is all that the workflow decides by.
type ChargeState struct {
	// Status is empty when there is no row because the claim was refused or
	// nothing was decided.
	Status payments.ChargeStatus `json:",omitempty"`
	// PaymentHash is in hex, for the search attribute.
	PaymentHash string `json:",omitempty"`
	// DueIn is the time left until the charge is closed: to its expiry by
	// Postgres' clock, and to its place among those that expire with it.
	DueIn time.Duration `json:",omitempty"`
	// HasReceipt says that the node settled and the credit is still to come.
	HasReceipt bool `json:",omitempty"`
	// Claimed says that a book transfer is settling the charge: hands off.
	Claimed bool `json:",omitempty"`
	// Deliveries are those of the closing event that nobody has tried.
	Deliveries []string `json:",omitempty"`
}

// WithdrawalRef names a withdrawal to the orchestrator: enough for the workflow
// id and the search attributes, nothing that moves money.
type WithdrawalRef struct {
	ID          string
	WorkspaceID string
	AmountMsat  payments.Msat
	// PaymentHash is in hex; whoever only nudges may leave it out.
	PaymentHash string
}

// WithdrawalInput starts a withdrawal's workflow.
type WithdrawalInput struct {
	WithdrawalID string
	// Look says that the run was started by a nudge or the sweeper and looks
	// at its row at once, instead of waiting for an update.
	Look bool
}

// HoldWithdrawal is the argument of the update that locks a withdrawal's funds.
type HoldWithdrawal struct {
	WithdrawalID string
	// StartBy is compared with Postgres' clock in the transaction that would
	// lock the funds; past it nothing is decided.
	StartBy time.Time
}

// SendWithdrawal is the argument of the activity that sends.
type SendWithdrawal struct {
	WithdrawalID string
	// Sends is the number of send rows that the decision to send was made by.
	Sends int
}

// Step is what a withdrawal's run does next.
type Step string

// The steps.
const (
	StepNone    Step = ""
	StepSend    Step = "send"
	StepFollow  Step = "follow"
	StepBook    Step = "book"
	StepResolve Step = "resolve"
	// StepWait is for an operator: under review.
	StepWait Step = "wait"
)

// WithdrawalState is what every withdrawal activity returns: the row as it left
// it, and what it asks for next.
type WithdrawalState struct {
	// Status is empty when there is no row because the claim was refused or
	// nothing was decided.
	Status payments.WithdrawalStatus `json:",omitempty"`
	// PaymentHash is in hex, for the search attribute.
	PaymentHash string `json:",omitempty"`
	// Next is due in NextIn; a nudge makes the run look at once.
	Next   Step          `json:",omitempty"`
	NextIn time.Duration `json:",omitempty"`
	// Sends is the number of send rows.
	Sends int `json:",omitempty"`
	// Note tells operators in words what is waited for.
	Note string `json:",omitempty"`
	// ChargeID is set when a book transfer of it has ended: the charge's own
	// run is nudged.
	ChargeID string `json:",omitempty"`
	// Deliveries are those of the closing event that nobody has tried.
	Deliveries []string `json:",omitempty"`
}

// QuoteInput asks for an estimate; it moves nothing.
type QuoteInput struct {
	Bolt11     string
	AmountMsat payments.Msat
}

// QuoteResult is the node's estimate.
type QuoteResult struct {
	// Routed is false when the node knows no route now.
	Routed  bool
	FeeMsat payments.Msat
}

// SandboxRef names a sandbox POST to the orchestrator, by its claim.
type SandboxRef struct {
	ClaimID     string
	WorkspaceID string
	Operation   payments.SandboxOperation
}

// SandboxInput starts the workflow of a sandbox POST.
type SandboxInput struct {
	ClaimID string
}

// DecideSandbox is the argument of the update that decides a sandbox POST.
type DecideSandbox struct {
	ClaimID string
	// StartBy is compared with Postgres' clock before anything is done; past it
	// nothing is decided.
	StartBy time.Time
}

// SandboxState is what deciding a sandbox POST came to.
type SandboxState struct {
	// Status is that of the answer.
	Status int
	// Pay says that the charge of the claim is to be paid now.
	Pay bool `json:",omitempty"`
}

// SandboxResult tells operators in words what a sandbox POST came to.
type SandboxResult struct {
	Outcome string
}

// DeliveryInput starts a delivery's workflow, or an attempt. Now asks for an
// attempt before it is due.
type DeliveryInput struct {
	DeliveryID string
	Now        bool `json:",omitempty"`
}

// AttemptResult is what an attempt to deliver came to. Done: succeeded, failed
// for good, or nothing left to do; else the next attempt is due in NextIn.
type AttemptResult struct {
	Done   bool
	NextIn time.Duration
	// Note tells operators how it went.
	Note string `json:",omitempty"`
	// Failed says that an attempt was made and failed; WorkspaceID, set with it,
	// is for the search attribute.
	Failed      bool   `json:",omitempty"`
	WorkspaceID string `json:",omitempty"`
}

// NodeInput names the node that a workflow or activity is about.
type NodeInput struct {
	Node string
}
