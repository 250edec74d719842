package lntpay

import (
	"context"
	"iter"
	"time"
)

// Ledger is what was booked, and what it adds up to. It needs the scope
// ledger:read.
type Ledger struct{ c *Client }

// Balance is what the workspace has.
type Balance struct {
	Environment   Environment `json:"environment"`
	AvailableMsat int64       `json:"available_msat"`
	// LockedMsat is reserved for withdrawals that are not over.
	LockedMsat int64 `json:"locked_msat"`
	// PendingMsat is the sum of the open charges.
	PendingMsat int64     `json:"pending_msat"`
	AsOf        time.Time `json:"as_of"`
}

// Balance is what the workspace has now.
func (s *Ledger) Balance(ctx context.Context) (*Balance, error) {
	return call[Balance](ctx, s.c, get("/v1/balance", nil))
}

// Transfer is an immutable double entry.
type Transfer struct {
	ID          string      `json:"id"`
	Environment Environment `json:"environment"`
	// Kind is such as charge_settled, withdrawal_lock, withdrawal_post,
	// withdrawal_fee, withdrawal_release, withdrawal_void, withdrawal_book or
	// suspense_assigned.
	Kind string `json:"kind"`
	// Ref is the id of what it is for, such as a charge's.
	Ref                string `json:"ref"`
	DebitAccount       string `json:"debit_account"`
	CreditAccount      string `json:"credit_account"`
	AmountMsat         int64  `json:"amount_msat"`
	AvailableAfterMsat int64  `json:"available_after_msat"`
	LockedAfterMsat    int64  `json:"locked_after_msat"`
	// Sequence counts the transfers of the workspace, from 1, without a gap.
	Sequence  int64     `json:"sequence"`
	CreatedAt time.Time `json:"created_at"`
}

// TransferFilter selects transfers; zero fields select all.
type TransferFilter struct {
	// Ref is the id of what a transfer is for, such as a charge's.
	Ref  string
	Kind string
	// PageSize is how many are fetched at a time: 1 to 100, 100 if zero.
	PageSize int
}

// Transfers is the transfers, the newest first.
func (s *Ledger) Transfers(ctx context.Context, filter TransferFilter) iter.Seq2[*Transfer, error] {
	return list[Transfer](ctx, s.c, "/v1/ledger/transfers", query("ref", filter.Ref, "kind", filter.Kind), filter.PageSize)
}
