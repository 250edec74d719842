package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lntpay/lntpay/config"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/workflows"
)

// Options is what a Server is assembled from.
type Options struct {
	Config config.API
	// Environments are those that are served; the key's prefix chooses.
	Environments map[payments.Environment]Environment
	// CheckURL refuses the target of a webhook endpoint.
	CheckURL func(rawURL string) error
	// Checks are what /readyz asks, by name: Postgres and Temporal of each
	// environment, and what the worker last said of its node.
	Checks map[string]func(ctx context.Context) error
	// Registry collects metrics; a new one if nil.
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Environment is one environment's dependencies. A handler receives one and
// cannot name the other.
type Environment struct {
	Store   *store.Store
	Charges Charges
	Ledger  Ledger
	Sealer  Sealer
}

// Charges drives the workflow of a charge. Nil means decided: the answer is
// frozen in the claim. An error means that nothing is known: 503.
type Charges interface {
	// Open opens the charge of the claim whose resource id is ref.ID, unless
	// Postgres' clock is past startBy.
	Open(ctx context.Context, ref workflows.ChargeRef, startBy time.Time) error
	// Cancel cancels the charge and freezes the answer in cancel.ClaimID.
	Cancel(ctx context.Context, ref workflows.ChargeRef, cancel workflows.CancelCharge) error
}

// Sealer encrypts the secrets that must be known in clear to sign.
type Sealer interface {
	Seal(plain []byte) ([]byte, error)
}

// Ledger is what the API reads of the books.
type Ledger interface {
	// Balance is zero for a workspace without transfers.
	Balance(ctx context.Context, workspaceID string) (available, locked payments.Msat, asOf time.Time, err error)
	// Transfers are newest first.
	Transfers(ctx context.Context, filter TransferFilter) ([]Transfer, error)
}

// TransferFilter chooses transfers of a workspace; empty fields choose all.
type TransferFilter struct {
	WorkspaceID    string
	Ref            string
	Kind           string
	BeforeSequence int64
	Limit          int
}

// Transfer is one double entry, accounts by name.
type Transfer struct {
	ID                 string        `json:"id"`
	Kind               string        `json:"kind"`
	Ref                string        `json:"ref"`
	DebitAccount       string        `json:"debit_account"`
	CreditAccount      string        `json:"credit_account"`
	AmountMsat         payments.Msat `json:"amount_msat"`
	AvailableAfterMsat payments.Msat `json:"available_after_msat"`
	LockedAfterMsat    payments.Msat `json:"locked_after_msat"`
	Sequence           int64         `json:"sequence"`
	CreatedAt          time.Time     `json:"created_at"`
}
