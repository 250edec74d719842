package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/workflows"
)

// always are queries that find a row where the books are wrong, at any moment
// between two transactions. They are written anew, from the rules and not from
// the product's own checks.
var always = map[string]string{
	"I1: a balance is below zero": `SELECT FROM balance WHERE available_msat < 0 OR locked_msat < 0`,
	"I2: a balance is not the sum of its transfers": `SELECT FROM balance b WHERE
		b.available_msat <> (SELECT coalesce(sum(CASE 1 WHEN t.credit_account THEN t.amount_msat WHEN t.debit_account THEN -t.amount_msat ELSE 0 END), 0)
			FROM transfer t WHERE t.workspace_id = b.workspace_id)
		OR b.locked_msat <> (SELECT coalesce(sum(CASE 2 WHEN t.credit_account THEN t.amount_msat WHEN t.debit_account THEN -t.amount_msat ELSE 0 END), 0)
			FROM transfer t WHERE t.workspace_id = b.workspace_id)`,
	"I2: a gap in the transfers": `SELECT FROM transfer GROUP BY workspace_id
		HAVING count(*) <> max(sequence) OR min(sequence) <> 1`,
	"I3: locked is not what open withdrawals need": `SELECT FROM balance b WHERE locked_msat <> (
		SELECT coalesce(sum(w.amount_msat + w.max_fee_msat), 0) FROM withdrawal w
		WHERE w.workspace_id = b.workspace_id AND w.completed_at IS NULL)`,
	"I4: a paid charge is not credited once": `SELECT FROM charge c WHERE c.status = 'paid' AND (
		SELECT count(*) FILTER (WHERE t.workspace_id = c.workspace_id AND t.amount_msat = c.amount_paid_msat) * 1000 + count(*)
		FROM transfer t WHERE t.kind = 'charge_settled' AND (t.ref = c.id OR t.ref LIKE c.id || '/%')) <> 1001`,
	"I4: a credit without its paid charge": `SELECT FROM transfer t WHERE t.kind = 'charge_settled'
		AND NOT EXISTS (SELECT FROM charge c WHERE c.id = t.ref AND c.status = 'paid')`,
	"I4: a paid charge without its receipt or book transfer": `SELECT FROM charge c WHERE c.status = 'paid' AND NOT EXISTS (
			SELECT FROM receipt r WHERE r.node = c.node AND r.payment_hash = c.payment_hash AND r.state = 'credited'
				AND r.charge_id = c.id AND r.amt_paid_msat = c.amount_paid_msat)
		AND NOT EXISTS (SELECT FROM withdrawal w WHERE w.id = c.settling_by AND w.status = 'succeeded' AND w.kind = 'book'
			AND w.charge_id = c.id AND w.amount_msat = c.amount_paid_msat)`,
	"I4: a credited receipt without its paid charge": `SELECT FROM receipt r WHERE r.state = 'credited'
		AND NOT EXISTS (SELECT FROM charge c WHERE c.id = r.charge_id AND c.status = 'paid')`,
	"I5: post, book and void exclude each other, and are the row's": `SELECT FROM withdrawal w WHERE
		(SELECT string_agg(t.kind, ',') FROM transfer t WHERE t.ref = w.id
			AND t.kind IN ('withdrawal_post', 'withdrawal_book', 'withdrawal_void')) IS DISTINCT FROM
		CASE w.status WHEN 'failed' THEN 'withdrawal_void'
			WHEN 'succeeded' THEN CASE w.kind WHEN 'book' THEN 'withdrawal_book' ELSE 'withdrawal_post' END END`,
	"I5: a withdrawal cost otherwise than amount and fee": `SELECT FROM withdrawal w, LATERAL (SELECT
			sum(t.amount_msat) FILTER (WHERE t.kind IN ('withdrawal_post', 'withdrawal_book', 'withdrawal_fee')) AS cost,
			sum(t.amount_msat) FILTER (WHERE t.debit_account = 2) AS unlocked FROM transfer t WHERE t.ref = w.id) t
		WHERE w.status = 'succeeded' AND (t.cost IS DISTINCT FROM w.amount_msat + w.fee_msat
			OR t.unlocked IS DISTINCT FROM w.amount_msat + w.max_fee_msat)`,
	"I5: a void does not return what was locked": `SELECT FROM withdrawal w WHERE status = 'failed'
		AND amount_msat + max_fee_msat IS DISTINCT FROM (SELECT sum(t.amount_msat) FROM transfer t
			WHERE t.ref = w.id AND t.kind = 'withdrawal_void')`,
	"I5: a withdrawal was not locked once": `SELECT FROM withdrawal w WHERE amount_msat + max_fee_msat IS DISTINCT FROM (
		SELECT sum(t.amount_msat) FROM transfer t WHERE t.ref = w.id AND t.kind = 'withdrawal_lock')`,
	"I6: the accounts do not add up to zero": `SELECT FROM (SELECT (SELECT coalesce(sum(available_msat + locked_msat), 0) FROM balance) AS owed,
		(SELECT coalesce(sum(CASE WHEN credit_account >= 10 THEN amount_msat ELSE 0 END
			- CASE WHEN debit_account >= 10 THEN amount_msat ELSE 0 END), 0) FROM transfer) AS system) x WHERE owed + system <> 0`,
	"I6: internal clearing is not zero": `SELECT FROM transfer WHERE 11 IN (credit_account, debit_account)
		HAVING sum(CASE WHEN credit_account = 11 THEN amount_msat ELSE -amount_msat END) <> 0`,
	"an end without its one event": `SELECT FROM (
			SELECT id, 'charge.' || status AS type, 'charge.%' AS kind FROM charge WHERE closed_at IS NOT NULL
			UNION ALL SELECT id, 'withdrawal.' || status, 'withdrawal.%' FROM withdrawal WHERE completed_at IS NOT NULL) ended
		WHERE 1 <> (SELECT count(*) FROM event e WHERE e.resource_id = ended.id AND e.type = ended.type)`,
	"an event without its end": `SELECT FROM event e WHERE (e.type LIKE 'charge.%'
			AND NOT EXISTS (SELECT FROM charge c WHERE c.id = e.resource_id AND c.closed_at IS NOT NULL))
		OR (e.type LIKE 'withdrawal.%'
			AND NOT EXISTS (SELECT FROM withdrawal w WHERE w.id = e.resource_id AND 'withdrawal.' || w.status = e.type))`,
	"a gap in the events": `SELECT FROM event GROUP BY workspace_id HAVING count(*) <> max(sequence) OR min(sequence) <> 1`,
	"an event without its one delivery to each endpoint": `SELECT FROM event e JOIN webhook_endpoint h ON h.workspace_id = e.workspace_id
		WHERE 1 <> (SELECT count(*) FROM delivery d WHERE d.event_id = e.id AND d.endpoint_id = h.id)`,
	"a charge claimed by a withdrawal that is over": `SELECT FROM charge c JOIN withdrawal w ON w.id = c.settling_by
		WHERE w.status = 'failed' OR w.status = 'succeeded' AND c.status <> 'paid'`,
	"an open charge without its answer": `SELECT FROM charge c JOIN claim a ON a.resource_id = c.id
		WHERE c.status NOT IN ('creating', 'paid') AND a.answer IS NULL`,
	"a withdrawal without its answer": `SELECT FROM withdrawal w LEFT JOIN claim a ON a.resource_id = w.id
		WHERE a.answer_status IS DISTINCT FROM 201`,
	"a refusal that left a withdrawal or a transfer": `SELECT FROM claim a WHERE a.answer_status >= 400
		AND (EXISTS (SELECT FROM withdrawal w WHERE w.id = a.resource_id) OR EXISTS (SELECT FROM transfer t WHERE t.ref = a.resource_id))`,
	"two live withdrawals of one hash": `SELECT FROM withdrawal WHERE status <> 'failed' GROUP BY payment_hash HAVING count(*) > 1`,
}

// finally are queries that find a row where something is left undone, when
// nothing is under way any more.
var finally = map[string]string{
	"a charge is not over":               `SELECT FROM charge WHERE status = 'pending'`,
	"a withdrawal is not over":           `SELECT FROM withdrawal WHERE completed_at IS NULL AND review_reason IS NULL`,
	"a receipt is not credited":          `SELECT FROM receipt WHERE state = 'uncredited'`,
	"a delivery is not over":             `SELECT FROM delivery WHERE status = 'pending'`,
	"something is locked for nothing":    `SELECT FROM balance WHERE locked_msat > 0 AND NOT EXISTS (SELECT FROM withdrawal WHERE completed_at IS NULL)`,
	"a send has no end":                  `SELECT FROM withdrawal_send s JOIN withdrawal w ON w.id = s.withdrawal_id WHERE s.ended_at IS NULL AND w.completed_at IS NOT NULL`,
	"a command is not judged":            `SELECT FROM withdrawal_resolution r WHERE r.outcome IS NULL`,
	"a charge is claimed and not booked": `SELECT FROM charge WHERE settling_by IS NOT NULL AND status <> 'paid' AND NOT EXISTS (SELECT FROM withdrawal WHERE id = settling_by AND review_reason IS NOT NULL)`,
}

// union is one statement that names what it finds.
func union(queries map[string]string) string {
	names := make([]string, 0, len(queries))
	for name := range queries {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("SELECT '%s' WHERE EXISTS (%s)", strings.ReplaceAll(name, "'", "''"), queries[name])
	}

	return strings.Join(names, "\nUNION ALL\n")
}

var alwaysSQL, finallySQL = union(always), union(finally)

func (w *world) query(sql string) {
	rows, err := w.db.admin.Query(w.ctx, sql)
	if err != nil {
		w.fail("check: %v", err)

		return
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.lost("check", err)
	for _, what := range found {
		w.fail("%s", what)
	}
}

// checkAlways is asked after every commit.
func (w *world) checkAlways() {
	w.count.Checks++
	w.query(alwaysSQL)
}

// checkInitiations: no payment begins whose withdrawals are all over, unless it
// was on its way for longer than the protocol allows for.
func (w *world) checkInitiations() {
	for _, hash := range w.initiations {
		w.count.Sends++
		var live, paid int
		w.lost("read the withdrawals of a hash", w.db.admin.QueryRow(w.ctx, `SELECT count(*) FILTER (WHERE status <> 'failed'),
			count(*) FILTER (WHERE status = 'succeeded') FROM withdrawal WHERE payment_hash = $1`, hash[:]).Scan(&live, &paid))
		if live == 0 && !w.late {
			w.fail("a payment of %x begins after the void of its withdrawal", hash[:4])
		}
		if paid > 0 && !w.regresses {
			w.fail("a payment of %x begins after its withdrawal has succeeded", hash[:4])
		}
	}
	w.initiations = nil
}

// judgeError: what our code answers may say that something is away; it must not
// be a constraint that keeps it from a wrong book, nor a deadlock.
func (w *world) judgeError(t *task, err error) {
	var answered *pgconn.PgError
	switch {
	case errors.As(err, &answered):
		w.fail("%s: Postgres refused: %s %s", t.name, answered.Code, answered.Message)
	case errors.Is(err, ledger.ErrAlreadyPosted), errors.Is(err, ledger.ErrInsufficientBalance):
		w.fail("%s: %v", t.name, err)
	case isType(err, workflows.ErrTypeRowMissing):
		w.fail("%s: %v", t.name, err)
	}
}

// checkFinally is asked when nothing is under way any more.
func (w *world) checkFinally() {
	w.checkAlways()
	w.query(finallySQL)
	for _, workspace := range w.workspaces {
		if err := ledger.Verify(w.ctx, w.db.admin, workspace); err != nil {
			w.fail("the ledger's own check: %v", err)
		}
	}
	report, err := w.db.store.CheckBooks(w.ctx, time.Time{})
	w.lost("check the books", err)
	for _, check := range report.Checks {
		for _, f := range check.Findings {
			w.fail("reconciliation finds %s %s: %s", f.Invariant, f.Kind, f.Detail)
		}
	}
	breaks, err := ledger.VerifyChain(w.ctx, w.db.admin, "")
	w.lost("check the chain", err)
	for _, one := range breaks {
		w.fail("the chain is broken: %s", one.What)
	}
	w.checkReceived()
	w.checkPaid()
	w.checkAnswers()
	w.checkTold()
}

// checkReceived: what the node has settled is in the books once, as it was paid.
func (w *world) checkReceived() {
	rows, err := w.db.admin.Query(w.ctx, `SELECT r.payment_hash, r.amt_paid_msat, r.state, coalesce(c.status, ''),
			coalesce(c.amount_paid_msat, 0), coalesce(c.settling_by, '') <> '' AS claimed
		FROM receipt r LEFT JOIN charge c ON c.id = r.charge_id`)
	w.lost("read receipts", err)
	found := map[lightning.Hash]bool{}
	var hash []byte
	var amount, credited int64
	var state, status string
	var claimed bool
	_, err = pgx.ForEachRow(rows, []any{&hash, &amount, &state, &status, &credited, &claimed}, func() error {
		found[lightning.Hash(hash)] = true
		if !slices.ContainsFunc(w.settledOnNode[lightning.Hash(hash)], func(i lightning.Invoice) bool {
			return int64(i.AmtPaidMsat) == amount
		}) {
			w.fail("a receipt of %x over %d that the node never settled", hash[:4], amount)
		}
		if state == "credited" && credited != amount {
			w.fail("%x was paid with %d and credited with %d", hash[:4], amount, credited)
		}
		// An invoice that the node canceled for a book transfer is not paid.
		if state == "suspense" && status == "paid" && claimed && !w.regresses {
			w.fail("%x was paid by the book and by the node", hash[:4])
		}

		return nil
	})
	w.lost("read receipts", err)
	for hash := range w.settledOnNode {
		if !found[hash] && !w.regresses && !w.creating(hash) {
			w.fail("the node settled %x, and there is no receipt", hash[:4])
		}
	}
}

// creating reports whether nobody was ever given the invoice of a hash: its
// client never came back. That somebody pays it all the same is the model's idea.
func (w *world) creating(hash lightning.Hash) (creating bool) {
	w.lost("read a charge", w.db.admin.QueryRow(w.ctx, `SELECT EXISTS (SELECT FROM charge c JOIN claim a ON a.resource_id = c.id
		WHERE c.payment_hash = $1 AND c.status = 'creating' AND a.answer IS NULL)`, hash[:]).Scan(&creating))

	return creating
}

// checkPaid: what the node has paid is in the books once, and nothing else is.
func (w *world) checkPaid() {
	rows, err := w.db.admin.Query(w.ctx, `SELECT payment_hash,
			count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE completed_at IS NULL),
			coalesce(max(amount_msat) FILTER (WHERE status = 'succeeded'), 0), coalesce(max(fee_msat) FILTER (WHERE status = 'succeeded'), 0),
			coalesce((SELECT sum(t.amount_msat) FROM transfer t JOIN withdrawal x ON t.ref LIKE x.id || '/%'
				WHERE x.payment_hash = w.payment_hash AND t.kind = 'operator_loss_payment'), 0)::bigint
		FROM withdrawal w WHERE kind = 'lightning' GROUP BY payment_hash`)
	w.lost("read withdrawals", err)
	var hash []byte
	var succeeded, open, amount, fee, lost int64
	_, err = pgx.ForEachRow(rows, []any{&hash, &succeeded, &open, &amount, &fee, &lost}, func() error {
		paid := w.paidOnNode[lightning.Hash(hash)]
		switch {
		case w.foreign[lightning.Hash(hash)] || w.regresses:
		case len(paid) > 1:
			w.fail("%x was paid %d times", hash[:4], len(paid))
		case len(paid) == 0 && (succeeded > 0 || lost > 0):
			w.fail("%x is in the books as paid, and the node never did", hash[:4])
		case len(paid) == 1 && succeeded == 0 && lost == 0 && open == 0:
			w.fail("the node paid %x, and the books do not have it", hash[:4])
		case len(paid) == 1 && succeeded == 1 && (int64(paid[0].ValueMsat) != amount || int64(paid[0].FeeMsat) != fee):
			w.fail("the node paid %x for %d+%d, the books say %d+%d", hash[:4], paid[0].ValueMsat, paid[0].FeeMsat, amount, fee)
		case lost > 0 && !w.late:
			w.fail("%x was paid after its void, which the protocol rules out", hash[:4])
		case lost > 0 && int64(paid[0].ValueMsat+paid[0].FeeMsat) != lost:
			w.fail("the node paid %x for %d, the loss is booked as %d", hash[:4], paid[0].ValueMsat+paid[0].FeeMsat, lost)
		}

		return nil
	})
	w.lost("read withdrawals", err)
}

// checkAnswers: whoever has repeated until he was answered was, and an id is one
// key's.
func (w *world) checkAnswers() {
	for _, c := range w.clients {
		if c.id == "" || c.gaveUp {
			continue
		}
		row, err := w.db.store.ReadAnswer(w.ctx, c.id)
		w.lost("read an answer", err)
		if row.AnswerStatus == nil {
			w.fail("%s was never answered", c.id)
		}
	}
}

// checkTold: every event has reached the endpoint.
func (w *world) checkTold() {
	var missing int
	rows, err := w.db.admin.Query(w.ctx, "SELECT DISTINCT event_id FROM delivery WHERE status = 'succeeded'")
	w.lost("read deliveries", err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.lost("read deliveries", err)
	for _, id := range ids {
		if w.received[id] == 0 {
			missing++
		}
	}
	if missing > 0 {
		w.fail("%d events count as delivered and never were", missing)
	}
}

// creditAgain is a fault of a mutant: see creditTwice.
func (w *world) creditAgain(ctx context.Context, id string) error {
	charge, err := w.db.store.GetCharge(ctx, id)
	if err != nil || charge.Status != string(payments.ChargePaid) {
		return err
	}
	tx, err := w.db.store.Pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	_, err = ledger.Post(ctx, tx, []ledger.Entry{{
		WorkspaceID: charge.WorkspaceID, Kind: ledger.KindChargeSettled, Ref: id + "/2",
		Debit: ledger.LightningClearing, Credit: ledger.Available, AmountMsat: payments.Msat(charge.AmountPaidMsat),
	}})
	if err != nil {
		return err
	}

	return tx.Commit(ctx)
}
