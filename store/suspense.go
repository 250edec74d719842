package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// What becomes of a receipt in suspense.
const (
	receiptSuspense = "suspense"
	// receiptAssigned is in the books of a workspace.
	receiptAssigned = "assigned"
	// receiptOwner is the node owner's own money, in nobody's books.
	receiptOwner = "owner"
)

var (
	// ErrNotInSuspense means that a receipt has been credited, assigned or kept.
	ErrNotInSuspense = errors.New("store: the receipt is not in suspense")
	// ErrReceiptAmbiguous means that several nodes have a receipt of the hash.
	ErrReceiptAmbiguous = errors.New("store: several nodes have a receipt of this hash: name the node too")
)

// ReceiptRef names what a node received. Node may be "" where one has it.
type ReceiptRef struct {
	Node        string
	PaymentHash [32]byte
}

func (r ReceiptRef) String() string {
	if r.Node == "" {
		return "receipt/" + hex.EncodeToString(r.PaymentHash[:])
	}

	return "receipt/" + r.Node + "/" + hex.EncodeToString(r.PaymentHash[:])
}

// AssignSuspense credits a receipt in suspense to a workspace, the whole
// amount, once: a second time is ErrNotInSuspense. transfer is what was booked.
func (s *Store) AssignSuspense(ctx context.Context, ref ReceiptRef, workspaceID string, by Operator,
) (receipt db.Receipt, transfer ledger.Transfer, err error) {
	err = s.Audited(ctx, by, "suspense_assign", ref.String(), func(tx pgx.Tx, q *db.Queries) (map[string]any, error) {
		if receipt, err = lockSuspense(ctx, q, ref); err != nil {
			return nil, err
		}
		if err := endSuspense(ctx, q, receipt, receiptAssigned, &workspaceID); err != nil {
			return nil, err
		}
		transfers, err := ledger.Post(ctx, tx, []ledger.Entry{{
			WorkspaceID: workspaceID, Kind: ledger.KindSuspenseAssigned, Ref: refOf(receipt).String(),
			Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: payments.Msat(receipt.AmtPaidMsat),
		}})
		if errors.Is(err, ledger.ErrUnknownWorkspace) {
			return nil, fmt.Errorf("%s: %w", workspaceID, ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		transfer = transfers[0]
		detail := receiptDetail(receipt)
		detail["workspace_id"], detail["transfer"] = workspaceID, transfer.ID

		return detail, nil
	})

	return receipt, transfer, err
}

// KeepSuspense marks a receipt in suspense as the node owner's own money.
func (s *Store) KeepSuspense(ctx context.Context, ref ReceiptRef, by Operator) (receipt db.Receipt, err error) {
	err = s.Audited(ctx, by, "suspense_keep", ref.String(), func(_ pgx.Tx, q *db.Queries) (map[string]any, error) {
		if receipt, err = lockSuspense(ctx, q, ref); err != nil {
			return nil, err
		}

		return receiptDetail(receipt), endSuspense(ctx, q, receipt, receiptOwner, nil)
	})

	return receipt, err
}

// lockSuspense finds the one receipt of a reference that is in suspense.
func lockSuspense(ctx context.Context, q *db.Queries, ref ReceiptRef) (receipt db.Receipt, err error) {
	params := db.LockReceiptsParams{PaymentHash: ref.PaymentHash[:]}
	if ref.Node != "" {
		params.Node = &ref.Node
	}
	rows, err := q.LockReceipts(ctx, params)
	if err != nil {
		return receipt, fmt.Errorf("read %s: %w", ref, err)
	}
	if len(rows) == 0 {
		return receipt, fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	// Not the one of several that is still in suspense: a repeat of the command
	// for the other must not reach it.
	if len(rows) > 1 {
		return receipt, fmt.Errorf("%s: %w", ref, ErrReceiptAmbiguous)
	}
	if rows[0].State != receiptSuspense {
		where := ""
		if rows[0].AssignedTo != nil {
			where = " to " + *rows[0].AssignedTo
		}

		return receipt, fmt.Errorf("%s is %s%s: %w", ref, rows[0].State, where, ErrNotInSuspense)
	}

	return rows[0], nil
}

func endSuspense(ctx context.Context, q *db.Queries, receipt db.Receipt, state string, workspaceID *string) error {
	n, err := q.EndSuspense(ctx, db.EndSuspenseParams{
		State: state, AssignedTo: workspaceID, Node: receipt.Node, PaymentHash: receipt.PaymentHash,
	})
	if err != nil {
		return fmt.Errorf("end suspense: %w", err)
	}
	if n == 0 {
		return ErrNotInSuspense
	}

	return nil
}

func refOf(receipt db.Receipt) ReceiptRef {
	return ReceiptRef{Node: receipt.Node, PaymentHash: [32]byte(receipt.PaymentHash)}
}

func receiptDetail(receipt db.Receipt) map[string]any {
	detail := map[string]any{
		"node": receipt.Node, "payment_hash": hex.EncodeToString(receipt.PaymentHash), "amount_msat": receipt.AmtPaidMsat,
	}
	if receipt.ChargeID != nil {
		detail["charge_id"] = *receipt.ChargeID
	}

	return detail
}
