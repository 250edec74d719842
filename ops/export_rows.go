package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/ledger/ledgerdb"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store/db"
)

// exportPage is how many rows are read at a time.
const exportPage = 2_000

// exportFilter narrows an export. A workspace of "" is all.
type exportFilter struct {
	workspace    string
	since, until time.Time
}

// dataset is what can be exported: columns that only ever become more, and
// where their rows come from. docs/audit.md explains the columns.
type dataset struct {
	name    string
	columns []string
	// environment says that its rows are of no workspace.
	environment bool
	rows        func(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error
}

// datasets are all of them, in the order of the documentation.
func datasets() []dataset {
	return []dataset{
		{name: "charges", columns: []string{
			"id", "workspace_id", "node", "status", "amount_msat", "amount_paid_msat", "payment_hash", "description", "external_id",
			"metadata", "bolt11", "withdrawal_id", "l402_resource", "created_at", "expires_at", "paid_at", "closed_at",
		}, rows: exportCharges},
		{name: "withdrawals", columns: []string{
			"id", "workspace_id", "node", "kind", "status", "amount_msat", "max_fee_msat", "fee_msat", "payment_hash", "destination",
			"description", "external_id", "metadata", "bolt11", "charge_id", "failure_code", "review_reason", "sends", "created_at",
			"sent_at", "completed_at",
		}, rows: exportWithdrawals},
		{name: "transfers", columns: []string{
			"workspace_id", "sequence", "id", "kind", "ref", "debit_account", "credit_account", "amount_msat",
			"available_after_msat", "locked_after_msat", "created_at",
		}, rows: exportTransfers},
		{name: "events", columns: []string{
			"workspace_id", "sequence", "id", "type", "resource_id", "created_at", "payload",
		}, rows: exportEvents},
		{name: "receipts", columns: []string{
			"node", "payment_hash", "amount_msat", "settle_index", "settled_at", "recorded_at", "state", "charge_id", "workspace_id",
		}, rows: exportReceipts},
		{name: "audit", columns: []string{
			"id", "created_at", "actor", "action", "target", "reason", "detail", "head",
		}, rows: exportAudit, environment: true},
		{name: "blocks", columns: []string{
			"workspace_id", "number", "first_sequence", "last_sequence", "previous", "hash", "head", "sealed_at",
		}, rows: exportBlocks},
		{name: "heads", columns: []string{
			"number", "blocks", "actions", "previous", "hash", "sealed_at",
		}, rows: exportHeads, environment: true},
	}
}

// paged gives all rows of a query that reads a page behind a row.
func paged[T any](fetch func(after T) ([]T, error), add func(T) error) error {
	var last T
	for {
		rows, err := fetch(last)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := add(row); err != nil {
				return err
			}
		}
		if len(rows) < exportPage {
			return nil
		}
		last = rows[len(rows)-1]
	}
}

func exportCharges(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after db.Charge) ([]db.Charge, error) {
		return db.New(tx).ExportCharges(ctx, db.ExportChargesParams{
			AfterID: after.ID, WorkspaceID: f.workspace, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(c db.Charge) error {
		return add(c.ID, c.WorkspaceID, c.Node, c.Status, c.AmountMsat, c.AmountPaidMsat, c.PaymentHash, c.Description, c.ExternalID,
			c.Metadata, c.Bolt11, c.SettlingBy, c.L402Resource, c.CreatedAt, c.ExpiresAt, c.PaidAt, c.ClosedAt)
	})
}

// exportWithdrawals leaves the preimages out: each is the client's receipt.
func exportWithdrawals(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after db.Withdrawal) ([]db.Withdrawal, error) {
		return db.New(tx).ExportWithdrawals(ctx, db.ExportWithdrawalsParams{
			AfterID: after.ID, WorkspaceID: f.workspace, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(w db.Withdrawal) error {
		return add(w.ID, w.WorkspaceID, w.Node, w.Kind, payments.WithdrawalStatus(w.Status).Public(), w.AmountMsat, w.MaxFeeMsat,
			w.FeeMsat, w.PaymentHash, w.Destination, w.Description, w.ExternalID, w.Metadata, w.Bolt11, w.ChargeID, w.FailureCode,
			w.ReviewReason, w.Sends, w.CreatedAt, w.SentAt, w.CompletedAt)
	})
}

func exportTransfers(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after ledgerdb.Transfer) ([]ledgerdb.Transfer, error) {
		return ledgerdb.New(tx).ExportTransfers(ctx, ledgerdb.ExportTransfersParams{
			AfterWorkspace: after.WorkspaceID, AfterSequence: after.Sequence,
			WorkspaceID: f.workspace, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(t ledgerdb.Transfer) error {
		return add(t.WorkspaceID, t.Sequence, t.ID, t.Kind, t.Ref, ledger.Account(t.DebitAccount).String(),
			ledger.Account(t.CreditAccount).String(), t.AmountMsat, t.AvailableAfterMsat, t.LockedAfterMsat, t.CreatedAt)
	})
}

// preimage is the field of that name as our own encoder writes it. Payloads
// have no other way to hold one.
var preimage = regexp.MustCompile(`"preimage":"[0-9a-f]{64}"`)

func exportEvents(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after db.Event) ([]db.Event, error) {
		return db.New(tx).ExportEvents(ctx, db.ExportEventsParams{
			AfterWorkspace: after.WorkspaceID, AfterSequence: after.Sequence,
			WorkspaceID: f.workspace, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(e db.Event) error {
		payload := preimage.ReplaceAll(e.Payload, []byte(`"preimage":null`))

		return add(e.WorkspaceID, e.Sequence, e.ID, e.Type, e.ResourceID, e.CreatedAt, json.RawMessage(payload))
	})
}

func exportReceipts(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after db.ExportReceiptsRow) ([]db.ExportReceiptsRow, error) {
		if after.PaymentHash == nil {
			after.PaymentHash = []byte{}
		}

		return db.New(tx).ExportReceipts(ctx, db.ExportReceiptsParams{
			AfterNode: after.Node, AfterHash: after.PaymentHash,
			WorkspaceID: f.workspace, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(r db.ExportReceiptsRow) error {
		var workspace *string
		if r.WorkspaceID != "" {
			workspace = &r.WorkspaceID
		}

		return add(r.Node, r.PaymentHash, r.AmtPaidMsat, r.SettleIndex, r.SettledAt, r.RecordedAt, r.State, r.ChargeID, workspace)
	})
}

func exportAudit(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after db.ExportActionsRow) ([]db.ExportActionsRow, error) {
		return db.New(tx).ExportActions(ctx, db.ExportActionsParams{
			AfterID: after.ID, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(a db.ExportActionsRow) error {
		return add(a.ID, a.CreatedAt, a.Actor, a.Action, a.Target, a.Reason, a.Detail, a.Head)
	})
}

func exportBlocks(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after ledgerdb.LedgerBlock) ([]ledgerdb.LedgerBlock, error) {
		return ledgerdb.New(tx).ExportBlocks(ctx, ledgerdb.ExportBlocksParams{
			AfterWorkspace: after.WorkspaceID, AfterNumber: after.Number,
			WorkspaceID: f.workspace, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(b ledgerdb.LedgerBlock) error {
		return add(b.WorkspaceID, b.Number, b.FirstSequence, b.LastSequence, b.Previous, b.Hash, b.Head, b.SealedAt)
	})
}

func exportHeads(ctx context.Context, tx pgx.Tx, f exportFilter, add func(...any) error) error {
	return paged(func(after ledgerdb.LedgerHead) ([]ledgerdb.LedgerHead, error) {
		return ledgerdb.New(tx).ExportHeads(ctx, ledgerdb.ExportHeadsParams{
			AfterNumber: after.Number, Since: f.since, Until: f.until, MaxRows: exportPage,
		})
	}, func(h ledgerdb.LedgerHead) error {
		return add(h.Number, h.Blocks, h.Actions, h.Previous, h.Hash, h.SealedAt)
	})
}

// setFor finds a dataset by its name.
func setFor(name string) (dataset, error) {
	var names []string
	for _, one := range datasets() {
		if one.name == name {
			return one, nil
		}
		names = append(names, one.name)
	}

	return dataset{}, fmt.Errorf("%q cannot be exported; what can is: %s", name, strings.Join(names, " "))
}
