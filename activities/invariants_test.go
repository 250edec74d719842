package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/ledger"
)

// violations are queries that find nothing in sound books.
var violations = map[string]string{
	"I1: a balance below zero": `SELECT count(*) FROM balance WHERE available_msat < 0 OR locked_msat < 0`,
	"I4: a paid charge without its one transfer": `SELECT count(*) FROM charge c WHERE status = 'paid' AND 1 <> (
		SELECT count(*) FROM transfer t WHERE t.kind = 'charge_settled' AND t.ref = c.id
			AND t.workspace_id = c.workspace_id AND t.amount_msat = c.amount_paid_msat)`,
	"I4: a transfer without its paid charge": `SELECT count(*) FROM transfer t WHERE kind = 'charge_settled'
		AND NOT EXISTS (SELECT FROM charge c WHERE c.id = t.ref AND c.status = 'paid')`,
	"I4: paid with another amount than the receipt's": `SELECT count(*) FROM charge c WHERE status = 'paid' AND NOT EXISTS (
		SELECT FROM receipt r WHERE r.node = c.node AND r.payment_hash = c.payment_hash
			AND r.amt_paid_msat = c.amount_paid_msat AND r.state = 'credited')
		AND NOT EXISTS (SELECT FROM withdrawal w WHERE w.id = c.settling_by AND w.status = 'succeeded'
			AND w.amount_msat = c.amount_paid_msat)`,
	"I3: locked without an open withdrawal": `SELECT count(*) FROM balance b WHERE locked_msat <> coalesce((
		SELECT sum(amount_msat + max_fee_msat) FROM withdrawal w WHERE w.workspace_id = b.workspace_id
			AND w.status NOT IN ('succeeded', 'failed')), 0)`,
	"I5: a withdrawal with another end than its transfers": `SELECT count(*) FROM withdrawal w WHERE
		(SELECT array_agg(t.kind ORDER BY t.kind) FROM transfer t WHERE t.ref = w.id
			AND t.kind IN ('withdrawal_post', 'withdrawal_book', 'withdrawal_void')) IS DISTINCT FROM
		CASE WHEN w.status = 'failed' THEN '{withdrawal_void}'::text[] WHEN w.status <> 'succeeded' THEN NULL
			WHEN w.kind = 'book' THEN '{withdrawal_book}' ELSE '{withdrawal_post}' END`,
	"I5: a withdrawal that cost more or less than amount and fee": `SELECT count(*) FROM withdrawal w WHERE status = 'succeeded'
		AND amount_msat + fee_msat <> (SELECT sum(t.amount_msat) FROM transfer t WHERE t.ref = w.id
			AND t.kind IN ('withdrawal_post', 'withdrawal_book', 'withdrawal_fee'))`,
	"a claimed charge whose withdrawal is over": `SELECT count(*) FROM charge c JOIN withdrawal w ON w.id = c.settling_by
		WHERE w.status = 'failed' OR (w.status = 'succeeded' AND c.status <> 'paid')`,
	"a withdrawal that is over without its event": `SELECT count(*) FROM withdrawal w WHERE status IN ('succeeded', 'failed')
		AND NOT EXISTS (SELECT FROM event e WHERE e.resource_id = w.id AND e.type = 'withdrawal.' || w.status)`,
	"a withdrawal without an answer": `SELECT count(*) FROM withdrawal w JOIN claim a ON a.resource_id = w.id WHERE a.answer IS NULL`,
	"a preimage in an event": `SELECT count(*) FROM event e JOIN withdrawal w ON w.id = e.resource_id
		WHERE w.preimage IS NOT NULL AND convert_from(e.payload, 'UTF8') LIKE '%' || encode(w.preimage, 'hex') || '%'`,
	"a receipt without credit": `SELECT count(*) FROM receipt WHERE state = 'uncredited'`,
	"a credited receipt without a paid charge": `SELECT count(*) FROM receipt r WHERE state = 'credited'
		AND NOT EXISTS (SELECT FROM charge c WHERE c.id = r.charge_id AND c.status = 'paid')`,
	"an open charge without an answer": `SELECT count(*) FROM charge c JOIN claim a ON a.resource_id = c.id
		WHERE c.status <> 'creating' AND a.answer IS NULL`,
	"an event that is not once": `SELECT count(*) FROM (SELECT FROM event GROUP BY resource_id, type HAVING count(*) > 1) x`,
	"a closed charge without its event": `SELECT count(*) FROM charge c WHERE status IN ('paid', 'expired', 'canceled')
		AND NOT EXISTS (SELECT FROM event e WHERE e.resource_id = c.id AND e.type = 'charge.' || c.status)`,
	"a gap in the events": `SELECT count(*) FROM (SELECT FROM event GROUP BY workspace_id
		HAVING count(*) <> max(sequence) OR min(sequence) <> 1) x`,
	"a delivery that is missing or too many": `SELECT count(*) FROM event e WHERE
		(SELECT count(*) FROM delivery d WHERE d.event_id = e.id) <>
		(SELECT count(*) FROM webhook_endpoint w WHERE w.workspace_id = e.workspace_id AND w.status = 'enabled'
			AND ('*' = ANY (w.events) OR e.type = ANY (w.events)))`,
}

// sound asserts the invariants that hold whatever has happened, once every
// receipt has been settled.
func (w *world) sound(t *testing.T) {
	t.Helper()
	for what, query := range violations {
		require.Zero(t, w.number(t, query), what)
	}
	require.NoError(t, ledger.Verify(t.Context(), w.Store.Pool, w.workspace), "I2")
	w.soundByReconciliation(t.Context(), t)
}
