package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/webhooks"
	"github.com/lntpay/lntpay/workflows"
)

// Options is what a Server is assembled from.
type Options struct {
	Config config.API
	// Environments are those that are served; the key's prefix chooses.
	Environments map[payments.Environment]Environment
	// Checks are what /readyz asks, by name: Postgres and Temporal of each
	// environment, and what the worker last said of its node.
	Checks map[string]func(ctx context.Context) error
	// Registry collects metrics; a new one if nil.
	Registry *prometheus.Registry
	Log      *slog.Logger
	// LogRequests is config.Log.Requests; its default when empty.
	LogRequests string
}

// Environment is one environment's dependencies. A handler receives one and
// cannot name the other.
type Environment struct {
	Store       *store.Store
	Charges     Charges
	Withdrawals Withdrawals
	Deliveries  Deliveries
	// Sandbox may be nil in production.
	Sandbox Sandbox
	Sealer  Sealer
	// Payouts has the default fee limit.
	Payouts config.Payouts
	// Limits hold for workspaces without limits of their own.
	Limits config.Limits
	// WebhookPolicy says which targets an endpoint may have.
	WebhookPolicy webhooks.Policy
}

// Charges drives the workflow of a charge; workflows.Starter is the one that
// does. Nil means decided: the answer is frozen in the claim. An error means
// that nothing is known: 503.
type Charges interface {
	// OpenCharge opens the charge of the claim whose resource id is ref.ID,
	// unless Postgres' clock is past startBy.
	OpenCharge(ctx context.Context, ref workflows.ChargeRef, startBy time.Time) error
	// CancelCharge cancels the charge and freezes the answer in the claim
	// whose resource id is claimID.
	CancelCharge(ctx context.Context, ref workflows.ChargeRef, claimID string, startBy time.Time) error
}

// Withdrawals drives the workflow of a withdrawal, as Charges that of a charge.
type Withdrawals interface {
	// HoldWithdrawal locks the funds for the withdrawal of the claim whose
	// resource id is ref.ID, unless Postgres' clock is past startBy.
	HoldWithdrawal(ctx context.Context, ref workflows.WithdrawalRef, startBy time.Time) error
	// EstimateFee asks the node what a payment would cost now.
	EstimateFee(ctx context.Context, in workflows.QuoteInput) (workflows.QuoteResult, error)
}

// Sandbox drives the workflow of a sandbox POST, as Charges that of a charge.
type Sandbox interface {
	// DecideSandbox does what the claim asks for, unless Postgres' clock is past
	// startBy, and freezes the answer in it.
	DecideSandbox(ctx context.Context, ref workflows.SandboxRef, startBy time.Time) error
}

// Deliveries starts the workflow of a delivery, or has the running one look at
// its row; workflows.Starter is the one that does. What it fails to start the
// sweeper starts.
type Deliveries interface {
	Deliver(ctx context.Context, deliveryID string) error
}

// Sealer encrypts the secrets that must be known in clear to sign, and gives
// keys of other purposes; webhooks.Sealer is the one that does.
type Sealer interface {
	Seal(endpointID, secret string) []byte
	Derive(label string) [32]byte
}
