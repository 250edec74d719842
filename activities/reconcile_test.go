package activities_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/activities"
	"github.com/lntpay/lntpay/ledger"
	"github.com/lntpay/lntpay/lightning"
	"github.com/lntpay/lntpay/lightning/lightningtest"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
	"github.com/lntpay/lntpay/store/db"
	"github.com/lntpay/lntpay/store/storetest"
	"github.com/lntpay/lntpay/workflows"
)

// The size of the books that must be reconciled within a minute: a fiftieth of
// the charges are paid by the book, so that there are 5,000 withdrawals in all.
const (
	fixtureCharges     = 50_000
	fixtureWithdrawals = 4_000
	reconcileBar       = time.Minute
)

// books is a world with the sound books of testdata/books.sql, and a node that
// has the invoices and payments of them.
type books struct {
	*world

	reconciliation *activities.Reconciliation
}

func newBooks(t *testing.T, charges, withdrawals int) *books {
	t.Helper()
	b := &books{world: newWorld(t)}
	b.reconciliation = &activities.Reconciliation{
		Nodes: b.nodes, Policy: activities.ReconcilePolicy{EveryMinutes: 60, FullEveryHours: 24},
	}
	statements, err := os.ReadFile("testdata/books.sql")
	require.NoError(t, err)
	conn, err := b.Store.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	for _, setting := range []string{
		fmt.Sprintf("SET fixture.charges = %d", charges), fmt.Sprintf("SET fixture.withdrawals = %d", withdrawals),
		"SET statement_timeout = '5min'", string(statements), "ANALYZE", "RESET statement_timeout",
	} {
		_, err := conn.Exec(t.Context(), setting)
		require.NoError(t, err)
	}
	b.load(t)
	for more := true; more; {
		require.NoError(t, b.Store.InTx(t.Context(), func(tx pgx.Tx, _ *db.Queries) error {
			sealed, err := ledger.Seal(t.Context(), tx)
			more = sealed.More

			return err
		}))
	}
	owed := b.number(t, "SELECT sum(available_msat + locked_msat)::bigint FROM balance")
	b.node.SetBalances(lightning.Balances{LocalMsat: payments.Msat(owed) + 10_000_000})

	return b
}

// load gives the node what the books say that it has.
func (b *books) load(t *testing.T) {
	t.Helper()
	var invoices []lightning.Invoice
	rows, err := b.Store.Pool.Query(t.Context(), `
		SELECT c.payment_hash, c.amount_msat, c.add_index, c.status, c.settling_by IS NOT NULL, c.created_at,
			coalesce(r.amt_paid_msat, 0), coalesce(r.settle_index, 0), coalesce(r.settled_at, 'epoch')
		FROM charge c LEFT JOIN receipt r ON r.payment_hash = c.payment_hash
		UNION ALL
		SELECT r.payment_hash, r.amt_paid_msat, r.settle_index, 'paid', false, r.settled_at, r.amt_paid_msat, r.settle_index, r.settled_at
		FROM receipt r WHERE r.state = 'suspense'`)
	require.NoError(t, err)
	for rows.Next() {
		var (
			invoice lightning.Invoice
			hash    []byte
			status  string
			byBook  bool
		)
		require.NoError(t, rows.Scan(&hash, &invoice.ValueMsat, &invoice.AddIndex, &status, &byBook, &invoice.CreatedAt,
			&invoice.AmtPaidMsat, &invoice.SettleIndex, &invoice.SettledAt))
		invoice.PaymentHash = lightning.Hash(hash)
		switch {
		case status == "pending":
			invoice.State = lightning.InvoiceOpen
		case status == "paid" && !byBook:
			invoice.State = lightning.InvoiceSettled
		default:
			invoice.State = lightning.InvoiceCanceled
		}
		invoices = append(invoices, invoice)
	}
	require.NoError(t, rows.Err())
	b.node.Load(invoices, b.paidByNode(t))
}

// paidByNode are the payments that the withdrawals and the losses name.
func (b *books) paidByNode(t *testing.T) (paid []lightning.Payment) {
	t.Helper()
	rows, err := b.Store.Pool.Query(t.Context(), `
		SELECT w.payment_hash, row_number() OVER (ORDER BY w.id), w.status, w.amount_msat,
			w.fee_msat + coalesce((SELECT sum(t.amount_msat) FROM transfer t WHERE t.kind = 'operator_loss_fee' AND t.ref = w.id), 0),
			coalesce(s.payment_index, 0), coalesce(s.created_ns, 0), coalesce(s.fee_msat, 0)
		FROM withdrawal w LEFT JOIN stray_payment s ON s.withdrawal_id = w.id WHERE w.kind = 'lightning' AND w.status <> 'held'`)
	require.NoError(t, err)
	for rows.Next() {
		var (
			payment                    lightning.Payment
			hash                       []byte
			status                     string
			strayIndex, strayNS, stray int64
		)
		require.NoError(t, rows.Scan(&hash, &payment.Index, &status, &payment.ValueMsat, &payment.FeeMsat, &strayIndex, &strayNS, &stray))
		payment.PaymentHash, payment.CreatedNS = lightning.Hash(hash), int64(payment.Index)
		// Past the indexes of the losses.
		payment.Index += 1000
		switch {
		case strayIndex > 0:
			payment.State, payment.Index, payment.CreatedNS, payment.FeeMsat =
				lightning.PaymentSucceeded, uint64(strayIndex), strayNS, payments.Msat(stray)
		case status == "succeeded":
			payment.State = lightning.PaymentSucceeded
		case status == "failed":
			payment.State = lightning.PaymentFailed
		default:
			payment.State = lightning.PaymentInFlight
		}
		paid = append(paid, payment)
	}
	require.NoError(t, rows.Err())

	return paid
}

// run is one reconciliation as the workflow does it.
func (b *books) run(t *testing.T, full bool) workflows.ReconcileReport {
	t.Helper()
	began := time.Now()
	env := quietSuite().NewTestActivityEnvironment()
	env.SetTestTimeout(5 * time.Minute)
	env.RegisterActivity(b.reconciliation)
	in := workflows.ReconcileInput{Node: b.node.Name(), Full: full}
	outcome := workflows.ReconcileOutcome{Node: in.Node, Compared: &workflows.ReconcileNode{}}
	value, err := env.ExecuteActivity(b.reconciliation.ReconcileNode, in)
	require.NoError(t, err)
	require.NoError(t, value.Get(outcome.Compared))
	compared := time.Since(began)
	value, err = env.ExecuteActivity(b.reconciliation.ReconcileBooks, in)
	require.NoError(t, err)
	require.NoError(t, value.Get(&outcome.Books))
	outcome.TookMS = time.Since(began).Milliseconds()
	value, err = env.ExecuteActivity(b.reconciliation.FinishReconcile, outcome)
	require.NoError(t, err)
	var report workflows.ReconcileReport
	require.NoError(t, value.Get(&report))
	t.Logf("%s; took %s, the node %s of it", report, time.Since(began).Round(time.Millisecond), compared.Round(time.Millisecond))

	return report
}

// open are the findings that are open, as "kind subject".
func (b *books) open(t *testing.T) []string {
	t.Helper()
	rows, err := b.Store.OpenFindings(t.Context(), 1000)
	require.NoError(t, err)
	found := make([]string, len(rows))
	for i, row := range rows {
		found[i] = row.Kind + " " + row.Subject
	}
	slices.Sort(found)

	return found
}

// withoutPlaces leaves out where in a workspace's chain it is broken, and that it
// is where a transfer or a balance was changed as well.
func withoutPlaces(findings []string) []string {
	var kept []string
	for _, f := range findings {
		if rest, ok := strings.CutPrefix(f, "chain_broken "); ok {
			workspace, _, _ := strings.Cut(rest, "/")
			if workspace == ident("ws", 203%5) || workspace == ident("ws", 4) {
				continue
			}
			f = "chain_broken " + workspace
		}
		kept = append(kept, f)
	}

	return kept
}

// exec plants something as the owner of the tables would.
func (b *books) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	tag, err := b.Store.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
	if tag.Update() || tag.Insert() || tag.Delete() {
		require.EqualValues(t, 1, tag.RowsAffected(), sql)
	}
}

func (b *books) text(t *testing.T, sql string, args ...any) (value string) {
	t.Helper()
	require.NoError(t, b.Store.Pool.QueryRow(t.Context(), sql, args...).Scan(&value), sql)

	return value
}

func ident(prefix string, n int) string { return fmt.Sprintf("%s_%026d", prefix, n) }

// fault is something planted, and the findings that tell it: its own first.
type fault struct {
	name  string
	plant func(b *books, t *testing.T) (found []string)
}

// Ten faults in large books: each is found, under its name, and nothing else is.
func TestReconciliationFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	b := newBooks(t, fixtureCharges, fixtureWithdrawals)
	require.EqualValues(t, 50_000, b.number(t, "SELECT count(*) FROM charge"))
	require.EqualValues(t, 5_000, b.number(t, "SELECT count(*) FROM withdrawal"))

	began := time.Now()
	report := b.run(t, false)
	require.Less(t, time.Since(began), reconcileBar)
	require.Empty(t, b.open(t), "the books are sound: what is found is wrong")
	require.True(t, report.Full, "the first reads everything")
	require.Zero(t, report.Healed)
	require.Equal(t, fixtureCharges+5, report.Invoices)

	b.exec(t, "ALTER TABLE transfer DISABLE TRIGGER transfer_immutable")
	var want []string
	for _, f := range faults {
		want = append(want, f.plant(b, t)...)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	began = time.Now()
	report = b.run(t, true)
	require.Less(t, time.Since(began), reconcileBar)
	open := b.open(t)
	require.Equal(t, len(open), report.Findings)
	require.Equal(t, len(open), report.New)
	require.Equal(t, want, slices.Compact(withoutPlaces(open)))

	b.acted(t, report)
}

// acted checks what follows from findings, once.
func (b *books) acted(t *testing.T, report workflows.ReconcileReport) {
	t.Helper()
	require.Contains(t, report.Frozen, store.FreezeAll)
	require.Contains(t, report.Frozen, ident("ws", 1))
	require.Positive(t, b.alerts(t, activities.AlertInvariantBroken))
	require.Positive(t, b.number(t, "SELECT count(*) FROM event WHERE type = 'payouts.frozen' AND workspace_id = '"+ident("ws", 1)+"'"))
	require.EqualValues(t, len(report.Frozen), b.number(t, "SELECT count(*) FROM operator_action WHERE actor = 'reconciliation'"))

	_, err := b.Store.ThawPayouts(t.Context(), ident("ws", 1), store.Operator{Name: "anna", Reason: "known"})
	require.NoError(t, err)
	again := b.run(t, false)
	require.Empty(t, again.Frozen, "a thaw holds while nothing new is found")
	require.Equal(t, report.Findings, again.Findings)
	require.Zero(t, again.New)
	require.Less(t, again.Invoices, fixtureCharges+5, "hours read what was not final")

	b.exec(t, "UPDATE balance SET available_msat = available_msat - 1 WHERE workspace_id = $1", ident("ws", 4))
	again = b.run(t, false)
	require.Positive(t, again.Resolved, "what is right again is resolved")
	require.NotContains(t, b.open(t), "balance_drift "+ident("ws", 4))
}

var faults = []fault{
	{"missing credit", (*books).missCredit},
	{"double credit", (*books).doubleCredit},
	{"altered transfer", (*books).alterTransfer},
	{"orphan receipt", (*books).orphanReceipt},
	{"wrong fee", (*books).wrongFee},
	{"stuck lock", (*books).stuckLock},
	{"lost event", (*books).loseEvent},
	{"wrong status", (*books).wrongStatus},
	{"drifted balance", (*books).driftBalance},
	{"broken chain", (*books).breakChain},
}

// missCredit pays a charge as the product does, but for the transfer.
func (b *books) missCredit(t *testing.T) []string {
	id := ident("ch", 22) // Pending.
	row := b.row(t, id)
	settled, err := b.node.Settle(lightning.Hash(row.PaymentHash), 0)
	require.NoError(t, err)
	b.exec(t, `INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, charge_id, state)
		VALUES ('merchant', $1, $2, $3, $4, $5, 'credited')`,
		row.PaymentHash, settled.AmtPaidMsat, int64(settled.SettleIndex), settled.SettledAt, id)
	b.exec(t, `UPDATE charge SET status = 'paid', amount_paid_msat = amount_msat, paid_at = now(), closed_at = now(),
		next_check_at = NULL WHERE id = $1`, id)
	b.tell(t, b.row(t, id).WorkspaceID, payments.EventChargePaid, id, b.Store.Charge(b.row(t, id)))

	return []string{"missing_credit " + id}
}

// tell writes an event as the product does.
func (b *books) tell(t *testing.T, workspaceID string, kind payments.EventType, id string, object any) {
	t.Helper()
	require.NoError(t, b.Store.InTx(t.Context(), func(_ pgx.Tx, q *db.Queries) error {
		return b.Store.WriteEvents(t.Context(), q, []store.NewEvent{{WorkspaceID: workspaceID, Type: kind, ResourceID: id, Object: object}})
	}))
}

// doubleCredit credits a paid charge once more, and keeps everything else in
// order.
func (b *books) doubleCredit(t *testing.T) []string {
	id := ident("ch", 106)
	b.exec(t, "ALTER TABLE transfer DROP CONSTRAINT transfer_ref_kind_key")
	b.exec(t, `INSERT INTO transfer (workspace_id, sequence, id, kind, ref, debit_account, credit_account, amount_msat,
			available_after_msat, locked_after_msat)
		SELECT c.workspace_id, b.version + 1, 'tr_double', 'charge_settled', c.id, 10, 1, c.amount_paid_msat,
			b.available_msat + c.amount_paid_msat, b.locked_msat
		FROM charge c JOIN balance b ON b.workspace_id = c.workspace_id WHERE c.id = $1`, id)
	b.exec(t, `UPDATE balance b SET available_msat = b.available_msat + c.amount_paid_msat, version = b.version + 1
		FROM charge c WHERE c.id = $1 AND b.workspace_id = c.workspace_id`, id)

	return []string{"double_credit " + id}
}

func (b *books) alterTransfer(t *testing.T) []string {
	id := ident("ch", 203)
	transfer := b.text(t, "SELECT id FROM transfer WHERE kind = 'charge_settled' AND ref = $1", id)
	b.exec(t, "UPDATE transfer SET amount_msat = amount_msat + 1000 WHERE id = $1", transfer)

	return []string{
		"transfer_altered " + transfer, "wrong_credit " + id, "balance_drift " + ident("ws", 203%5), "books_unbalanced books",
	}
}

func (b *books) orphanReceipt(t *testing.T) []string {
	hash := lightning.Hash{42}
	b.exec(t, `INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, recorded_at, charge_id, state)
		VALUES ('merchant', $1, 1000, 1, now() - interval '1 hour', now() - interval '1 hour', 'ch_none', 'credited')`, hash[:])
	subject := "merchant/" + hash.String()

	return []string{"orphan_receipt " + subject, "receipt_without_invoice " + subject}
}

func (b *books) wrongFee(t *testing.T) []string {
	id := ident("wd", 104)
	b.exec(t, "UPDATE withdrawal SET fee_msat = fee_msat + 10 WHERE id = $1 AND status = 'succeeded'", id)
	event := b.text(t, "SELECT id FROM event WHERE resource_id = $1", id)

	return []string{"wrong_fee " + id, "payment_differs " + id, "wrong_event " + event}
}

// stuckLock ends a withdrawal without giving back what it had locked.
func (b *books) stuckLock(t *testing.T) []string {
	id := ident("wd", 43)
	b.exec(t, `UPDATE withdrawal SET status = 'failed', failure_code = 'no_route', completed_at = now(), next_check_at = NULL
		WHERE id = $1 AND status IN ('sending', 'following', 'held')`, id)
	row := b.payout(t, id)
	// The node has failed it too.
	b.node.Load(nil, []lightning.Payment{{PaymentHash: lightning.Hash(row.PaymentHash), State: lightning.PaymentFailed, Index: 999, CreatedNS: 1}})
	b.tell(t, row.WorkspaceID, payments.EventWithdrawalFailed, id, b.Store.Withdrawal(row))

	return []string{"stuck_lock " + id, "locked_drift " + row.WorkspaceID}
}

func (b *books) loseEvent(t *testing.T) []string {
	id := ident("ch", 304)
	workspace := b.row(t, id).WorkspaceID
	b.exec(t, "DELETE FROM event WHERE resource_id = $1", id)

	return []string{"lost_event " + id, "event_gap " + workspace}
}

// wrongStatus makes a paid charge look expired.
func (b *books) wrongStatus(t *testing.T) []string {
	id := ident("ch", 406)
	b.exec(t, "UPDATE charge SET status = 'expired', amount_paid_msat = 0, paid_at = NULL WHERE id = $1 AND status = 'paid'", id)
	event := b.text(t, "SELECT id FROM event WHERE resource_id = $1", id)
	receipt := "merchant/" + lightning.Hash(b.row(t, id).PaymentHash).String()

	return []string{"credit_of_unpaid " + id, "receipt_of_unpaid " + receipt, "wrong_event " + event, "lost_event " + id}
}

func (b *books) driftBalance(t *testing.T) []string {
	b.exec(t, "UPDATE balance SET available_msat = available_msat + 1 WHERE workspace_id = $1", ident("ws", 4))

	return []string{"balance_drift " + ident("ws", 4), "books_unbalanced books"}
}

// breakChain alters what only the chain holds. It is told at the block, as it is of
// the other workspaces whose transfers or balance were changed.
func (b *books) breakChain(t *testing.T) []string {
	id := ident("ch", 505)
	b.exec(t, "UPDATE transfer SET created_at = created_at + interval '1 second' WHERE kind = 'charge_settled' AND ref = $1", id)

	return []string{"chain_broken " + ident("ws", 0)}
}

// What is missing of the node's receipts is written: a charge that is paid
// already is not paid again, one that is not gets its credit.
func TestReconciliationHeals(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 200, 40)
	credited, pending := ident("ch", 3), ident("ch", 22)
	b.exec(t, "DELETE FROM receipt WHERE charge_id = $1", credited)
	b.node.SetNow(func() time.Time { return time.Now().Add(-time.Hour) })
	_, err := b.node.Settle(lightning.Hash(b.row(t, pending).PaymentHash), 0)
	require.NoError(t, err)
	report := b.run(t, false)
	require.Equal(t, 2, report.Healed)
	require.Empty(t, b.open(t))
	require.Empty(t, report.Frozen)
	require.Equal(t, "credited", b.text(t, "SELECT state FROM receipt WHERE charge_id = $1", credited))
	require.Equal(t, 1, b.nudger.of(pending), "its run credits it")
	require.NoError(t, b.Settle.Settle(t.Context(), pending))
	require.Zero(t, b.run(t, true).Healed)
	require.Empty(t, b.open(t))
}

// A node that went back in time lacks much, from which nothing follows.
func TestReconciliationConcludesNothingFromARegressedNode(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 200, 40)
	b.node.Forget(lightning.Hash(b.row(t, ident("ch", 3)).PaymentHash))
	_, err := b.Store.MarkNodeRegressed(t.Context(), b.node.Name())
	require.NoError(t, err)
	report := b.run(t, true)
	require.Empty(t, b.open(t))
	require.Contains(t, report.Note, "back in time")
}

// A node that has less than is owed is told of at the second reading, and freezes
// nothing.
func TestReconciliationTellsAShortfall(t *testing.T) {
	t.Parallel()
	b := newBooks(t, 200, 40)
	b.node.SetBalances(lightning.Balances{LocalMsat: 1000})
	b.run(t, false)
	require.Empty(t, b.open(t), "one reading may fall between a payment and its booking")
	report := b.run(t, false)
	require.Equal(t, []string{"insolvent merchant"}, b.open(t))
	require.Empty(t, report.Frozen)
	b.node.SetBalances(lightning.Balances{LocalMsat: lightningtest.DefaultReceivable, OnChainMsat: 1})
	require.Equal(t, 1, b.run(t, false).Resolved)
	b.node.Inject(lightningtest.Balances, lightningtest.FailBefore)
	require.Contains(t, b.run(t, false).Note, "balances were not read")
}

// Whoever was frozen and thawed is told.
func TestFreezeTellsTheWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := storetest.Workspace(t, w.Store)
	by := store.Operator{Name: "anna", Reason: "a secret reason"}
	for _, scope := range []string{w.workspace, store.FreezeAll} {
		_, err := w.Store.FreezePayouts(t.Context(), scope, by)
		require.NoError(t, err)
		_, err = w.Store.FreezePayouts(t.Context(), scope, by)
		require.NoError(t, err)
		_, err = w.Store.ThawPayouts(t.Context(), scope, by)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"payouts.frozen", "payouts.thawed", "payouts.frozen", "payouts.thawed"}, w.events(t, w.workspace))
	require.Equal(t, []string{"payouts.frozen", "payouts.thawed"}, w.events(t, other))
	require.Zero(t, w.number(t, "SELECT count(*) FROM event WHERE convert_from(payload, 'UTF8') LIKE '%secret%'"))
}

// soundByReconciliation is what reconciliation says of the books of any test:
// nothing but that money came from nowhere, which funds its workspaces.
func (w *world) soundByReconciliation(ctx context.Context, t *testing.T) {
	t.Helper()
	report, err := w.Store.CheckBooks(ctx, time.Time{})
	require.NoError(t, err)
	for _, check := range report.Checks {
		for _, f := range check.Findings {
			require.Equal(t, "credit_without_charge", f.Kind, "%s of %s: %s", f.Kind, f.Subject, f.Detail)
		}
	}
}
