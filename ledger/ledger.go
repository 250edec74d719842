package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lntpay/lntpay/ledger/ledgerdb"
	"github.com/lntpay/lntpay/payments"
)

// Account is one side of a transfer. The workspace's own accounts have a
// balance row; the system's are derived from the transfers, because a live row
// would be the hottest of all.
type Account int16

// The accounts.
const (
	Available         Account = 1
	Locked            Account = 2
	LightningClearing Account = 10
	InternalClearing  Account = 11
	RoutingFee        Account = 12
	ServiceFee        Account = 13
	OperatorLoss      Account = 14
	Suspense          Account = 15
)

var accountNames = map[Account]string{
	Available: "available", Locked: "locked",
	LightningClearing: "lightning_clearing", InternalClearing: "internal_clearing",
	RoutingFee: "routing_fee", ServiceFee: "service_fee",
	OperatorLoss: "operator_loss", Suspense: "suspense",
}

// String is the account's public name.
func (a Account) String() string { return accountNames[a] }

// Kind says what a transfer is for. A kind happens once per ref.
type Kind string

// The kinds. ref is the charge of the first one and the withdrawal of all
// others that do not say otherwise.
const (
	// KindChargeSettled credits a workspace for a paid charge, from
	// lightning_clearing, or from internal_clearing when another workspace of
	// the same environment paid it by a book transfer.
	KindChargeSettled Kind = "charge_settled"
	// KindWithdrawalLock reserves amount and fee limit: available to locked.
	KindWithdrawalLock Kind = "withdrawal_lock"
	// KindWithdrawalPost is the amount of a payment that succeeded: locked to
	// lightning_clearing. Of post, book and void a withdrawal has at most one
	// (index transfer_withdrawal_end).
	KindWithdrawalPost Kind = "withdrawal_post"
	// KindWithdrawalBook is the amount of a book transfer: locked to
	// internal_clearing.
	KindWithdrawalBook Kind = "withdrawal_book"
	// KindWithdrawalVoid returns everything: locked to available.
	KindWithdrawalVoid Kind = "withdrawal_void"
	// KindWithdrawalFee is the routing fee that the client pays: locked to
	// routing_fee.
	KindWithdrawalFee Kind = "withdrawal_fee"
	// KindWithdrawalRelease returns the rest of the fee limit: locked to
	// available.
	KindWithdrawalRelease Kind = "withdrawal_release"
	// KindExcessFee is the part of a routing fee above the limit, which the
	// operator pays: operator_loss to routing_fee.
	KindExcessFee Kind = "operator_loss_fee"
	// KindLatePayment is a payment that succeeded after the void of its
	// withdrawal: operator_loss to lightning_clearing. ref is the withdrawal
	// and the payment's index and time.
	KindLatePayment Kind = "operator_loss_payment"
	// KindSuspenseAssigned credits a workspace, on an operator's word, for a
	// receipt that no charge explains: lightning_clearing to available. ref is
	// receipt/<node>/<payment hash>.
	KindSuspenseAssigned Kind = "suspense_assigned"
)

// Errors of Post.
var (
	// ErrInsufficientBalance means that an account would fall below zero.
	ErrInsufficientBalance = errors.New("ledger: insufficient balance")
	// ErrAlreadyPosted means that a transfer of this kind and ref exists.
	ErrAlreadyPosted = errors.New("ledger: already posted")
	// ErrUnknownWorkspace means that the workspace has no balance row.
	ErrUnknownWorkspace = errors.New("ledger: workspace has no accounts")
)

// Entry asks for one transfer.
type Entry struct {
	WorkspaceID string
	Kind        Kind
	Ref         string
	Debit       Account
	Credit      Account
	AmountMsat  payments.Msat
}

// Transfer is a booked entry.
type Transfer struct {
	ID                 string
	WorkspaceID        string
	Sequence           int64
	Kind               Kind
	Ref                string
	Debit              Account
	Credit             Account
	AmountMsat         payments.Msat
	AvailableAfterMsat payments.Msat
	LockedAfterMsat    payments.Msat
	CreatedAt          time.Time
}

// OpenAccounts gives a workspace its balance row; again is harmless.
func OpenAccounts(ctx context.Context, tx ledgerdb.DBTX, workspaceID string) error {
	if err := ledgerdb.New(tx).OpenAccounts(ctx, workspaceID); err != nil {
		return fmt.Errorf("open accounts of %s: %w", workspaceID, err)
	}

	return nil
}

// Post books all entries or none, in tx. The balance rows stay locked until tx
// ends: post last. After an error tx must be rolled back.
func Post(ctx context.Context, tx pgx.Tx, entries []Entry) ([]Transfer, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	rows, err := ledgerdb.New(tx).PostTransfers(ctx, postParams(entries))
	if err != nil {
		return nil, fmt.Errorf("post %d transfers: %w", len(entries), mapError(err))
	}
	if len(rows) != len(entries) {
		return nil, whyShort(ctx, tx, entries)
	}
	transfers := make([]Transfer, len(rows))
	for i, row := range rows {
		transfers[i] = fromRow(row)
	}

	return transfers, nil
}

func postParams(entries []Entry) ledgerdb.PostTransfersParams {
	var p ledgerdb.PostTransfersParams
	for _, e := range entries {
		p.Ids = append(p.Ids, payments.NewID(payments.PrefixTransfer))
		p.WorkspaceIds = append(p.WorkspaceIds, e.WorkspaceID)
		p.Kinds = append(p.Kinds, string(e.Kind))
		p.Refs = append(p.Refs, e.Ref)
		p.DebitAccounts = append(p.DebitAccounts, int16(e.Debit))
		p.CreditAccounts = append(p.CreditAccounts, int16(e.Credit))
		p.AmountsMsat = append(p.AmountsMsat, int64(e.AmountMsat))
	}

	return p
}

// whyShort tells a missing workspace from a missing balance.
func whyShort(ctx context.Context, tx pgx.Tx, entries []Entry) error {
	for _, e := range entries {
		var exists bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM balance WHERE workspace_id = $1)`,
			e.WorkspaceID).Scan(&exists); err != nil {
			return fmt.Errorf("read balance of %s: %w", e.WorkspaceID, err)
		}
		if !exists {
			return fmt.Errorf("%s: %w", e.WorkspaceID, ErrUnknownWorkspace)
		}
	}

	return ErrInsufficientBalance
}

func mapError(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch {
	case pg.Code == "23505" && pg.TableName == "transfer":
		return ErrAlreadyPosted
	case pg.Code == "23514" && pg.TableName == "balance":
		return ErrInsufficientBalance
	}

	return err
}

func fromRow(r ledgerdb.Transfer) Transfer {
	return Transfer{
		ID: r.ID, WorkspaceID: r.WorkspaceID, Sequence: r.Sequence, Kind: Kind(r.Kind), Ref: r.Ref,
		Debit: Account(r.DebitAccount), Credit: Account(r.CreditAccount),
		AmountMsat:         payments.Msat(r.AmountMsat),
		AvailableAfterMsat: payments.Msat(r.AvailableAfterMsat),
		LockedAfterMsat:    payments.Msat(r.LockedAfterMsat),
		CreatedAt:          r.CreatedAt,
	}
}
