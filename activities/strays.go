package activities

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
)

// sweepPayments compares the node's payments with the withdrawals, from the
// first that is not explained yet. A payment that has not failed is explained by
// a live withdrawal of its hash. One whose withdrawals were all voided belongs
// to the last of them, and if it succeeded it is the operator's loss. One that
// no withdrawal explains freezes the node's payouts until an operator says what
// it is.
func (a *Nodes) sweepPayments(ctx context.Context) error {
	node, err := a.Store.GetNode(ctx, a.Node.Name())
	if err != nil {
		return fmt.Errorf("read node %s: %w", a.Node.Name(), err)
	}
	if node.PaymentsExplainedTo == nil {
		return a.beginExplained(ctx)
	}
	from := *node.PaymentsExplainedTo
	sweep := &paymentSweep{explainedTo: from, contiguous: true}
	after := from
	if node.PaymentsOursFrom != nil && from > *node.PaymentsOursFrom {
		// lnd on SQLite gives the newest index again when a payment that failed
		// there is initiated anew: the one at the mark may be another by now.
		after--
	}
	err = a.Node.ListPayments(ctx, uint64(after), listPage, func(page []lightning.Payment) error {
		return a.explain(ctx, sweep, page)
	})
	if err != nil {
		return fmt.Errorf("list the payments of %s: %w", a.Node.Name(), err)
	}
	if err := a.forgetFailed(ctx); err != nil {
		return err
	}

	return a.Store.MoveExplained(ctx, db.MoveExplainedParams{
		Name: a.Node.Name(), ExplainedFrom: from, ExplainedTo: sweep.explainedTo,
	})
}

// beginExplained notes where the node stood when it became ours: what it paid
// before is its owner's.
func (a *Nodes) beginExplained(ctx context.Context) error {
	present, err := a.Node.HighestIndexes(ctx)
	if err != nil {
		return fmt.Errorf("read the node's indexes: %w", err)
	}

	return a.Store.BeginExplained(ctx, db.BeginExplainedParams{
		Name: a.Node.Name(), PaymentIndex: int64(present.Payment),
	})
}

// paymentSweep is how far one sweep has come: the mark moves only over payments
// that are explained and over. One that a withdrawal explains today may be a
// stray once that is voided.
type paymentSweep struct {
	explainedTo int64
	contiguous  bool
}

// explain judges one page.
func (a *Nodes) explain(ctx context.Context, sweep *paymentSweep, page []lightning.Payment) error {
	judged, err := a.judgePayments(ctx, page)
	if err != nil {
		return err
	}
	open, err := a.noteStrays(ctx, judged.strays)
	if err != nil {
		return err
	}
	for _, payment := range page {
		sweep.contiguous = sweep.contiguous && !open[payment.Index] && !judged.underWay[payment.Index]
		if sweep.contiguous {
			sweep.explainedTo = int64(payment.Index)
		}
	}

	return nil
}

// stray is a payment with the withdrawal that it belongs to; none if ID is "".
type stray struct {
	lightning.Payment
	withdrawal db.LastVoidedRow
}

// judgement is what the withdrawals say of a page of payments.
type judgement struct {
	// strays moved or may move money, and no live withdrawal explains them.
	strays []stray
	// underWay are the indexes of those that one explains which is not over.
	underWay map[uint64]bool
}

// judgePayments holds payments against the withdrawals of their hashes. Failed
// ones moved nothing.
func (a *Nodes) judgePayments(ctx context.Context, page []lightning.Payment) (judgement, error) {
	judged := judgement{underWay: map[uint64]bool{}}
	var hashes [][]byte
	for _, payment := range page {
		if payment.State != lightning.PaymentFailed {
			hashes = append(hashes, payment.PaymentHash[:])
		}
	}
	if len(hashes) == 0 {
		return judged, nil
	}
	live, err := a.Store.LiveHashes(ctx, hashes)
	if err != nil {
		return judged, fmt.Errorf("read live withdrawals: %w", err)
	}
	voided, err := a.Store.LastVoided(ctx, hashes)
	if err != nil {
		return judged, fmt.Errorf("read voided withdrawals: %w", err)
	}
	over, explained := map[lightning.Hash]bool{}, map[lightning.Hash]bool{}
	for _, row := range live {
		hash := lightning.Hash(row.PaymentHash)
		explained[hash], over[hash] = true, row.Succeeded
	}
	last := map[lightning.Hash]db.LastVoidedRow{}
	for _, row := range voided {
		last[lightning.Hash(row.PaymentHash)] = row
	}
	for _, payment := range page {
		switch {
		case payment.State == lightning.PaymentFailed:
		case !explained[payment.PaymentHash]:
			judged.strays = append(judged.strays, stray{Payment: payment, withdrawal: last[payment.PaymentHash]})
		case !over[payment.PaymentHash]:
			judged.underWay[payment.Index] = true
		}
	}

	return judged, nil
}

const underWayAfterVoid = "a payment is under way whose withdrawal was voided: its hash is refused until it ends"

// noteStrays writes strays and books those that are somebody's loss. open are
// the indexes of those that stay unexplained or unfinished.
func (a *Nodes) noteStrays(ctx context.Context, strays []stray) (open map[uint64]bool, err error) {
	open = map[uint64]bool{}
	params := db.NoteStraysParams{Node: a.Node.Name()}
	byIndex := map[int64]stray{}
	for _, one := range strays {
		byIndex[int64(one.Index)] = one
		params.PaymentIndexes = append(params.PaymentIndexes, int64(one.Index))
		params.CreatedNs = append(params.CreatedNs, one.CreatedNS)
		params.PaymentHashes = append(params.PaymentHashes, one.PaymentHash[:])
		params.WithdrawalIds = append(params.WithdrawalIds, one.withdrawal.ID)
		params.Statuses = append(params.Statuses, string(one.State))
		params.AmountsMsat = append(params.AmountsMsat, int64(one.ValueMsat))
		params.FeesMsat = append(params.FeesMsat, int64(one.FeeMsat))
	}
	if len(strays) == 0 {
		return open, nil
	}
	rows, err := a.Store.NoteStrays(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("note strays: %w", err)
	}
	for _, row := range rows {
		one := byIndex[row.PaymentIndex]
		open[one.Index] = true
		switch {
		case one.withdrawal.ID == "":
			a.Alerts.Raise(ctx, AlertPaymentUnexplained, "the node makes a payment that no withdrawal explains: its payouts are frozen",
				"node", row.Node, "payment_index", row.PaymentIndex, "payment_hash", one.PaymentHash.String())
		case one.State == lightning.PaymentSucceeded:
			if err := a.bookLate(ctx, row.PaymentIndex, one); err != nil {
				return nil, err
			}
			delete(open, one.Index)
		case row.IsNew:
			a.Alerts.Raise(ctx, AlertLatePayment, underWayAfterVoid, "withdrawal", one.withdrawal.ID)
		}
	}

	return open, nil
}

// bookLate books a payment that succeeded after the void of its withdrawal.
func (a *Nodes) bookLate(ctx context.Context, index int64, one stray) error {
	booked := false
	err := a.Store.InTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		n, err := q.CloseStray(ctx, db.CloseStrayParams{
			State: "booked", Node: a.Node.Name(), PaymentIndex: index, CreatedNs: one.CreatedNS,
		})
		if err != nil || n == 0 {
			return err
		}
		booked = true
		_, err = ledger.Post(ctx, tx, []ledger.Entry{store.LateEntry(one.withdrawal.WorkspaceID, one.withdrawal.ID, store.LeftPayment{
			Index: index, CreatedNS: one.CreatedNS, AmountMsat: one.ValueMsat, FeeMsat: one.FeeMsat,
		})})

		return err
	})
	if err != nil {
		return fmt.Errorf("book the late payment of %s: %w", one.withdrawal.ID, err)
	}
	if booked {
		a.Alerts.Raise(ctx, AlertLatePayment, "a payment succeeded after the void of its withdrawal: the operator's loss",
			"withdrawal", one.withdrawal.ID, "amount_msat", int64(one.ValueMsat), "fee_msat", int64(one.FeeMsat))
	}

	return nil
}

// forgetFailed closes strays that failed since: the node says so of their
// hash, or has the hash under another pair.
func (a *Nodes) forgetFailed(ctx context.Context) error {
	rows, err := a.Store.OpenStrays(ctx, db.OpenStraysParams{Node: a.Node.Name(), MaxRows: sweepLimit})
	if err != nil {
		return fmt.Errorf("read open strays: %w", err)
	}
	for _, row := range rows {
		payment, err := a.Node.TrackPayment(ctx, lightning.Hash(row.PaymentHash))
		if err != nil {
			continue // Unknown, or not there: an operator's matter.
		}
		same := int64(payment.Index) == row.PaymentIndex && payment.CreatedNS == row.CreatedNs
		if same && payment.State != lightning.PaymentFailed {
			continue
		}
		if _, err := a.Store.FailStray(ctx, db.FailStrayParams{
			Node: row.Node, PaymentIndex: row.PaymentIndex, CreatedNs: row.CreatedNs,
		}); err != nil {
			return fmt.Errorf("close a stray: %w", err)
		}
	}

	return nil
}

// aboutWithdrawals are those that changes on the node's stream of payments are
// about; stray says that one is about none that lives.
func (a *Nodes) aboutWithdrawals(ctx context.Context, batch []lightning.Payment,
) (about []db.FollowedByHashRow, stray bool, err error) {
	var hashes [][]byte
	for _, payment := range batch {
		hashes = append(hashes, payment.PaymentHash[:])
	}
	if about, err = a.Store.FollowedByHash(ctx, db.FollowedByHashParams{
		Node: a.Node.Name(), PaymentHashes: hashes,
	}); err != nil {
		return nil, false, fmt.Errorf("read followed withdrawals: %w", err)
	}
	judged, err := a.judgePayments(ctx, batch)

	return about, len(judged.strays) > 0, err
}
