-- What reconciliation asks of charges, receipts, withdrawals and events: each
-- query returns what is otherwise than it must be. All are of one snapshot; what
-- one transaction writes together is whole in it, and needs no grace.

-- CheckCharges is I4: a paid charge has exactly one credit, of what its receipt
-- says or of the book transfer that paid it; no other charge has any.
-- name: CheckCharges :many
WITH credit AS (
    SELECT t.ref, count(*) AS credits, sum(t.amount_msat)::bigint AS amount_msat, min(t.workspace_id) AS workspace_id,
        min(t.debit_account) AS debit_account
    FROM transfer t WHERE t.kind = 'charge_settled' GROUP BY t.ref
), judged AS (
    SELECT coalesce(c.id, t.ref) AS subject, coalesce(c.workspace_id, t.workspace_id) AS workspace_id,
        CASE
            WHEN c.id IS NULL THEN 'credit_without_charge'
            WHEN t.credits > 1 THEN 'double_credit'
            WHEN c.status = 'paid' AND t.ref IS NULL THEN 'missing_credit'
            WHEN c.status <> 'paid' AND t.ref IS NOT NULL THEN 'credit_of_unpaid'
            WHEN c.status = 'paid' AND (t.amount_msat <> c.amount_paid_msat OR t.workspace_id <> c.workspace_id) THEN 'wrong_credit'
            WHEN c.status = 'paid' AND c.amount_paid_msat < c.amount_msat THEN 'underpaid'
            WHEN c.status = 'paid' AND t.debit_account = 10 AND (r.state IS NULL OR r.state <> 'credited') THEN 'paid_without_receipt'
            WHEN c.status = 'paid' AND t.debit_account = 10 AND r.amt_paid_msat <> c.amount_paid_msat THEN 'receipt_amount'
            WHEN c.status = 'paid' AND t.debit_account = 11 AND (w.id IS NULL OR w.kind <> 'book' OR w.status <> 'succeeded'
                OR w.charge_id <> c.id OR w.amount_msat <> c.amount_paid_msat) THEN 'paid_by_nothing'
            WHEN c.status <> 'paid' AND w.status IN ('succeeded', 'failed') THEN 'claim_left'
        END AS kind,
        jsonb_build_object('status', c.status, 'amount_msat', c.amount_msat, 'amount_paid_msat', c.amount_paid_msat,
            'credits', coalesce(t.credits, 0), 'credited_msat', t.amount_msat,
            'receipt_state', r.state, 'receipt_msat', r.amt_paid_msat, 'settling_by', c.settling_by) AS detail
    FROM charge c
    FULL JOIN credit t ON t.ref = c.id
    LEFT JOIN receipt r ON r.node = c.node AND r.payment_hash = c.payment_hash
    LEFT JOIN withdrawal w ON w.id = c.settling_by
)
SELECT 'I4'::text AS invariant, j.kind::text AS kind, j.subject::text AS subject, j.workspace_id::text AS workspace_id,
    j.detail::jsonb AS detail
FROM judged j WHERE j.kind IS NOT NULL LIMIT @max_rows;

-- CheckReceipts is I4 and I8 from the receipts' side: credited ones are of paid
-- charges, and those of no charge are in suspense. One that waits for its credit
-- for an hour has been forgotten by whoever should come back.
-- name: CheckReceipts :many
WITH judged AS (
    SELECT r.node || '/' || encode(r.payment_hash, 'hex') AS subject, c.workspace_id,
        CASE
            WHEN r.state IN ('uncredited', 'credited') AND c.id IS NULL THEN 'orphan_receipt'
            WHEN r.state = 'credited' AND c.status <> 'paid' THEN 'receipt_of_unpaid'
            WHEN r.state = 'suspense' AND c.status <> 'paid' THEN 'suspense_of_charge'
            WHEN r.state = 'uncredited' AND r.recorded_at < now() - interval '1 hour' THEN 'receipt_waits'
        END AS kind,
        jsonb_build_object('state', r.state, 'amt_paid_msat', r.amt_paid_msat, 'settled_at', r.settled_at,
            'charge_id', r.charge_id, 'charge_status', c.status) AS detail
    FROM receipt r
    LEFT JOIN charge c ON c.payment_hash = r.payment_hash AND c.node = r.node
        AND (r.state = 'suspense' OR c.id = r.charge_id)
)
SELECT (CASE j.kind WHEN 'receipt_of_unpaid' THEN 'I4' WHEN 'receipt_waits' THEN 'waits' ELSE 'I8' END)::text AS invariant,
    j.kind::text AS kind, j.subject::text AS subject, coalesce(j.workspace_id, '')::text AS workspace_id, j.detail::jsonb AS detail
FROM judged j WHERE j.kind IS NOT NULL LIMIT @max_rows;

-- CheckWithdrawals is I3 and I5: amount and fee limit are locked at the start;
-- what is over has given all of it to the recipient, to routing and back, as the
-- row says. One finding for each withdrawal, the most telling.
-- name: CheckWithdrawals :many
WITH moved AS (
    SELECT t.ref, min(t.workspace_id) AS workspace_id, max(t.workspace_id) AS workspace_id_too,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'withdrawal_lock'), 0)::bigint AS locked,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'withdrawal_post'), 0)::bigint AS posted,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'withdrawal_book'), 0)::bigint AS booked,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'withdrawal_void'), 0)::bigint AS voided,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'withdrawal_fee'), 0)::bigint AS fee,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'withdrawal_release'), 0)::bigint AS released,
        coalesce(sum(t.amount_msat) FILTER (WHERE t.kind = 'operator_loss_fee'), 0)::bigint AS excess
    FROM transfer t WHERE t.kind LIKE 'withdrawal_%' OR t.kind = 'operator_loss_fee'
    GROUP BY t.ref
), judged AS (
    SELECT coalesce(w.id, m.ref) AS subject, coalesce(w.workspace_id, m.workspace_id) AS workspace_id,
        CASE
            WHEN w.id IS NULL THEN 'transfer_without_withdrawal'
            WHEN m.ref IS NULL OR m.locked <> w.amount_msat + w.max_fee_msat THEN 'wrong_lock'
            WHEN m.workspace_id <> w.workspace_id OR m.workspace_id_too <> w.workspace_id THEN 'other_workspace'
            WHEN w.status NOT IN ('succeeded', 'failed') AND m.posted + m.booked + m.voided + m.fee + m.released + m.excess > 0
                THEN 'withdrawal_status'
            WHEN w.status = 'succeeded' AND m.voided > 0 OR w.status = 'failed' AND m.posted + m.booked + m.fee + m.excess > 0
                THEN 'withdrawal_status'
            WHEN w.status IN ('succeeded', 'failed') AND m.locked <> m.posted + m.booked + m.voided + m.fee + m.released
                THEN 'stuck_lock'
            WHEN w.status = 'succeeded' AND (w.kind = 'lightning' AND m.posted <> w.amount_msat
                OR w.kind = 'book' AND m.booked <> w.amount_msat) THEN 'withdrawal_amount'
            WHEN w.status = 'succeeded' AND (m.fee <> w.fee_msat OR m.excess > 0 AND w.fee_msat < w.max_fee_msat) THEN 'wrong_fee'
        END AS kind,
        jsonb_build_object('kind', w.kind, 'status', w.status, 'amount_msat', w.amount_msat, 'max_fee_msat', w.max_fee_msat,
            'fee_msat', w.fee_msat, 'locked_msat', coalesce(m.locked, 0), 'posted_msat', coalesce(m.posted, 0),
            'booked_msat', coalesce(m.booked, 0), 'voided_msat', coalesce(m.voided, 0), 'fee_booked_msat', coalesce(m.fee, 0),
            'released_msat', coalesce(m.released, 0), 'excess_msat', coalesce(m.excess, 0)) AS detail
    FROM withdrawal w FULL JOIN moved m ON m.ref = w.id
)
SELECT (CASE WHEN j.kind IN ('wrong_lock', 'stuck_lock', 'other_workspace', 'transfer_without_withdrawal') THEN 'I3' ELSE 'I5' END)::text AS invariant,
    j.kind::text AS kind, j.subject::text AS subject, j.workspace_id::text AS workspace_id, j.detail::jsonb AS detail
FROM judged j WHERE j.kind IS NOT NULL LIMIT @max_rows;

-- CheckLocks is I3 as a whole: what a workspace has locked is what its open
-- withdrawals hold.
-- name: CheckLocks :many
WITH open AS (
    SELECT w.workspace_id, sum(w.amount_msat + w.max_fee_msat)::bigint AS open_msat, count(*) AS withdrawals
    FROM withdrawal w WHERE w.status IN ('held', 'sending', 'following') GROUP BY w.workspace_id
)
SELECT 'I3'::text AS invariant, 'locked_drift'::text AS kind, coalesce(b.workspace_id, o.workspace_id)::text AS subject,
    coalesce(b.workspace_id, o.workspace_id)::text AS workspace_id,
    jsonb_build_object('locked_msat', coalesce(b.locked_msat, 0), 'open_msat', coalesce(o.open_msat, 0),
        'open_withdrawals', coalesce(o.withdrawals, 0))::jsonb AS detail
FROM balance b FULL JOIN open o ON o.workspace_id = b.workspace_id
WHERE coalesce(b.locked_msat, 0) <> coalesce(o.open_msat, 0)
LIMIT @max_rows;

-- CheckLosses is for what operators booked. I5 for what was lost: each booked
-- payment is in the books once, with amount and fee, and nothing else is; I4 for
-- receipts that were assigned to a workspace. A ref names the payment
-- in one of three ways (store.LateEntry, store.BookStray).
-- name: CheckLosses :many
WITH booked AS (
    SELECT s.*, t.ref, t.amount_msat AS transfer_msat, t.workspace_id
    FROM stray_payment s
    LEFT JOIN LATERAL (
        SELECT t.ref, t.amount_msat, t.workspace_id FROM transfer t
        WHERE t.kind = 'operator_loss_payment' AND t.ref IN (
            s.withdrawal_id || '/' || s.payment_index || '/' || s.created_ns,
            'stray/' || s.node || '/' || s.payment_index || '/' || s.created_ns,
            'stray/' || s.node || '/' || s.payment_index)
        ORDER BY length(t.ref) DESC LIMIT 1
    ) t ON true
    WHERE s.state = 'booked'
)
SELECT 'I5'::text AS invariant, 'loss_not_booked'::text AS kind,
    (b.node || '/' || b.payment_index || '/' || b.created_ns)::text AS subject, coalesce(b.workspace_id, '')::text AS workspace_id,
    jsonb_build_object('amount_msat', b.amount_msat, 'fee_msat', b.fee_msat, 'transfer_msat', b.transfer_msat)::jsonb AS detail
FROM booked b WHERE b.transfer_msat IS DISTINCT FROM b.amount_msat + b.fee_msat
UNION ALL
SELECT 'I5', 'loss_unexplained', t.ref, t.workspace_id, jsonb_build_object('amount_msat', t.amount_msat, 'transfer', t.id)
FROM transfer t WHERE t.kind = 'operator_loss_payment' AND NOT EXISTS (SELECT FROM booked b WHERE b.ref = t.ref)
UNION ALL
SELECT 'I4', CASE WHEN r.node IS NULL THEN 'assignment_unexplained' ELSE 'assignment_not_booked' END,
    coalesce('receipt/' || r.node || '/' || encode(r.payment_hash, 'hex'), t.ref), coalesce(t.workspace_id, r.assigned_to, ''),
    jsonb_build_object('amt_paid_msat', r.amt_paid_msat, 'assigned_to', r.assigned_to, 'transfer_msat', t.amount_msat, 'transfer', t.id)
FROM (SELECT * FROM receipt WHERE state = 'assigned') r
FULL JOIN (SELECT * FROM transfer WHERE kind = 'suspense_assigned') t ON t.ref = 'receipt/' || r.node || '/' || encode(r.payment_hash, 'hex')
WHERE r.node IS NULL OR t.ref IS NULL OR t.amount_msat <> r.amt_paid_msat OR t.workspace_id <> r.assigned_to
LIMIT @max_rows;

-- CheckEvents: what has ended has its event, numbers have no gap, and no event
-- says otherwise than its row. Bodies are read only from since on. Whether a
-- delivery is missing cannot be judged: endpoints do not keep what they once
-- subscribed to.
-- name: CheckEvents :many
WITH ended AS (
    SELECT c.id, c.workspace_id, 'charge.' || c.status AS type FROM charge c WHERE c.status IN ('paid', 'expired', 'canceled')
    UNION ALL
    SELECT w.id, w.workspace_id, 'withdrawal.' || w.status FROM withdrawal w WHERE w.status IN ('succeeded', 'failed')
), numbered AS (
    SELECT e.workspace_id, count(*) AS events, min(e.sequence) AS lowest, max(e.sequence) AS highest FROM event e GROUP BY e.workspace_id
), told AS MATERIALIZED (
    SELECT e.id, e.workspace_id, e.sequence, e.type, e.resource_id, coalesce(c.status, w.status) AS status,
        coalesce(c.amount_paid_msat, w.fee_msat) AS msat, coalesce(c.workspace_id, w.workspace_id) AS of_workspace,
        CASE WHEN e.created_at >= @since::timestamptz THEN coalesce(event_body(e.payload), '{}') END AS body
    FROM event e
    LEFT JOIN charge c ON e.type LIKE 'charge.%' AND c.id = e.resource_id
    LEFT JOIN withdrawal w ON e.type LIKE 'withdrawal.%' AND w.id = e.resource_id
    WHERE e.type LIKE 'charge.%' OR e.type LIKE 'withdrawal.%'
)
SELECT 'I6'::text AS invariant, 'lost_event'::text AS kind, n.id::text AS subject, n.workspace_id::text AS workspace_id,
    jsonb_build_object('type', n.type)::jsonb AS detail
FROM ended n LEFT JOIN event e ON e.resource_id = n.id AND e.type = n.type WHERE e.id IS NULL
UNION ALL
SELECT 'I6', 'event_gap', coalesce(n.workspace_id, s.workspace_id), coalesce(n.workspace_id, s.workspace_id),
    jsonb_build_object('events', coalesce(n.events, 0), 'lowest', n.lowest, 'highest', n.highest, 'allocated', coalesce(s.last, 0))
FROM numbered n FULL JOIN event_sequence s ON s.workspace_id = n.workspace_id
WHERE coalesce(n.events, 0) <> coalesce(s.last, 0) OR coalesce(n.lowest, 1) <> 1 OR coalesce(n.highest, 0) <> coalesce(s.last, 0)
UNION ALL
SELECT 'I6', 'wrong_event', t.id, t.workspace_id,
    jsonb_build_object('type', t.type, 'resource_id', t.resource_id, 'status', t.status)
FROM told t
WHERE t.status IS NULL OR t.of_workspace <> t.workspace_id
    OR (split_part(t.type, '.', 2) <> t.status AND NOT (t.type IN ('charge.expired', 'charge.canceled') AND t.status = 'paid'))
    OR t.body IS NOT NULL AND (
        t.body->>'type' IS DISTINCT FROM t.type OR t.body->>'id' IS DISTINCT FROM t.id
        OR t.body->>'sequence' IS DISTINCT FROM t.sequence::text
        OR t.body#>>'{data,object,id}' IS DISTINCT FROM t.resource_id
        OR t.body#>>'{data,object,status}' IS DISTINCT FROM split_part(t.type, '.', 2)
        OR t.type = 'charge.paid' AND t.body#>>'{data,object,amount_paid_msat}' IS DISTINCT FROM t.msat::text
        OR t.type = 'withdrawal.succeeded' AND t.body#>>'{data,object,fee_msat}' IS DISTINCT FROM t.msat::text)
LIMIT @max_rows;

-- Suspense is what the node received for nobody.
-- name: Suspense :one
SELECT count(*) AS receipts, coalesce(sum(amt_paid_msat), 0)::bigint AS amount_msat FROM receipt WHERE state = 'suspense';

-- Uncredited is what the node received and no balance says yet.
-- name: Uncredited :one
SELECT coalesce(sum(amt_paid_msat), 0)::bigint AS amount_msat FROM receipt WHERE state = 'uncredited';

-- What the rows say of a page of the node's invoices. Row by row, by index: else
-- each page may read whole tables. What is not there is 0 or empty.
-- name: CompareInvoices :many
SELECT i.payment_hash::bytea AS payment_hash, coalesce(r.amt_paid_msat, 0)::bigint AS amt_paid_msat,
    coalesce(r.settle_index, 0)::bigint AS settle_index, coalesce(c.id, '')::text AS charge_id,
    coalesce(c.workspace_id, '')::text AS workspace_id, coalesce(c.status, '')::text AS charge_status,
    coalesce(c.settling_by, '')::text AS settling_by,
    coalesce(c.expires_at < now() - make_interval(secs => @grace_s::float8), false)::boolean AS overdue
FROM (SELECT unnest(@payment_hashes::bytea[]) AS payment_hash) i
LEFT JOIN LATERAL (
    SELECT * FROM receipt WHERE receipt.node = @node::text AND receipt.payment_hash = i.payment_hash LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT * FROM charge WHERE charge.payment_hash = i.payment_hash AND charge.node = @node::text LIMIT 1
) c ON true
WHERE r.node IS NOT NULL OR c.id IS NOT NULL;

-- Receipts page by page, recorded from since on and until the list was read.
-- name: ReceiptsAfter :many
SELECT r.payment_hash, r.amt_paid_msat,
    coalesce((SELECT c.workspace_id FROM charge c WHERE c.id = r.charge_id), '')::text AS workspace_id
FROM receipt r
WHERE r.node = @node AND r.payment_hash > @after::bytea AND r.recorded_at >= @since::timestamptz
    AND r.recorded_at < @until::timestamptz
ORDER BY r.payment_hash LIMIT @max_rows;

-- What the rows say of a page of the node's payments: the one withdrawal of each
-- hash that has not failed.
-- name: ComparePayments :many
SELECT w.id, w.workspace_id, w.payment_hash, w.status, w.kind, w.node, w.amount_msat, w.fee_msat,
    (w.fee_msat + coalesce((SELECT sum(t.amount_msat) FROM transfer t WHERE t.kind = 'operator_loss_fee' AND t.ref = w.id), 0))::bigint AS node_fee_msat
FROM withdrawal w WHERE w.payment_hash = ANY(@payment_hashes::bytea[]) AND w.status <> 'failed';

-- Succeeded payments page by page, of those that ended in the given time.
-- name: SucceededAfter :many
SELECT w.id, w.workspace_id, w.payment_hash, w.amount_msat, w.fee_msat FROM withdrawal w
WHERE w.node = @node AND w.kind = 'lightning' AND w.status = 'succeeded' AND w.id > @after
    AND w.completed_at >= @since::timestamptz AND w.completed_at < @until::timestamptz
ORDER BY w.id LIMIT @max_rows;

-- RecordFindings writes what was seen now. is_new says that it was not open.
-- name: RecordFindings :many
INSERT INTO finding AS f (invariant, kind, subject, workspace_id, node, detail)
SELECT DISTINCT ON (i.kind, i.subject) i.invariant, i.kind, i.subject, nullif(i.workspace_id, ''), @node::text, i.detail
FROM (SELECT unnest(@invariants::text[]) AS invariant, unnest(@kinds::text[]) AS kind, unnest(@subjects::text[]) AS subject,
    unnest(@workspace_ids::text[]) AS workspace_id, unnest(@details::jsonb[]) AS detail) i
ORDER BY i.kind, i.subject
ON CONFLICT (kind, subject) WHERE resolved_at IS NULL
    DO UPDATE SET last_seen = now(), detail = excluded.detail, workspace_id = excluded.workspace_id
RETURNING f.invariant, f.kind, f.subject, (f.xmax = 0)::boolean AS is_new;

-- ResolveFindings ends what a check that looked at all of these kinds did not
-- see any more.
-- name: ResolveFindings :execrows
UPDATE finding SET resolved_at = now()
WHERE resolved_at IS NULL AND node = @node AND kind = ANY(@kinds::text[]) AND last_seen < now();

-- name: OpenFindings :many
SELECT * FROM finding WHERE resolved_at IS NULL ORDER BY invariant, kind, subject LIMIT @max_rows;

-- name: CountOpenFindings :many
SELECT invariant, count(*) AS findings FROM finding WHERE resolved_at IS NULL GROUP BY invariant;

-- FindingsToAct are those that nobody was told of yet.
-- name: FindingsToAct :many
SELECT * FROM finding WHERE resolved_at IS NULL AND acted_at IS NULL ORDER BY id LIMIT @max_rows;

-- name: MarkActed :exec
UPDATE finding SET acted_at = now() WHERE id = ANY(@ids::bigint[]) AND acted_at IS NULL;

-- name: GetReconciliation :one
SELECT n.name AS node, coalesce(r.invoices_from, 0)::bigint AS invoices_from, coalesce(r.payments_after, 0)::bigint AS payments_after,
    r.last_full_at, r.last_success_at, coalesce(r.short_readings, 0)::int AS short_readings,
    coalesce(r.report, '{}')::jsonb AS report, now()::timestamptz AS now
FROM node n LEFT JOIN reconciliation r ON r.node = n.name WHERE n.name = @node;

-- name: MoveReconciliation :exec
INSERT INTO reconciliation (node, invoices_from, payments_after) VALUES (@node, @invoices_from, @payments_after)
ON CONFLICT (node) DO UPDATE SET invoices_from = excluded.invoices_from, payments_after = excluded.payments_after;

-- name: CountShort :one
INSERT INTO reconciliation (node, short_readings) VALUES (@node, @short::int)
ON CONFLICT (node) DO UPDATE SET short_readings = CASE WHEN @short::int = 0 THEN 0 ELSE reconciliation.short_readings + 1 END
RETURNING short_readings;

-- name: FinishReconciliation :exec
INSERT INTO reconciliation AS r (node, last_success_at, last_full_at, report)
VALUES (@node, now(), CASE WHEN @was_full::boolean THEN now() END, @report)
ON CONFLICT (node) DO UPDATE SET last_success_at = now(), report = excluded.report,
    last_full_at = coalesce(excluded.last_full_at, r.last_full_at);

-- name: CountFrozen :one
SELECT count(*) FILTER (WHERE scope = 'all') AS all_payouts, count(*) FILTER (WHERE scope LIKE 'node/%') AS nodes,
    count(*) FILTER (WHERE scope <> 'all' AND scope NOT LIKE 'node/%') AS workspaces
FROM payout_freeze WHERE frozen;

-- name: AllWorkspaces :many
SELECT id FROM workspace ORDER BY id;

-- Deliveries of freezes and thaws that nobody has tried yet.
-- name: UntriedPayoutDeliveries :many
SELECT d.id FROM delivery d JOIN event e ON e.id = d.event_id
WHERE d.resource_id = ANY(@workspace_ids::text[]) AND d.status = 'pending' AND d.attempts = 0
    AND e.type IN ('payouts.frozen', 'payouts.thawed')
ORDER BY d.id LIMIT @max_rows;

-- RestoreReceipts writes the receipts of charges whose credit is in the books
-- already: they were there once, and are not to be credited again.
-- name: RestoreReceipts :many
INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, charge_id, state)
SELECT @node::text, i.payment_hash, i.amt_paid_msat, i.settle_index, i.settled_at, c.id, 'credited'
FROM (SELECT unnest(@payment_hashes::bytea[]) AS payment_hash, unnest(@amts_paid_msat::bigint[]) AS amt_paid_msat,
    unnest(@settle_indexes::bigint[]) AS settle_index, unnest(@settled_ats::timestamptz[]) AS settled_at) i
JOIN charge c ON c.node = @node::text AND c.payment_hash = i.payment_hash AND c.status = 'paid' AND c.amount_paid_msat = i.amt_paid_msat
JOIN transfer t ON t.kind = 'charge_settled' AND t.ref = c.id AND t.debit_account = 10
ORDER BY i.payment_hash
ON CONFLICT DO NOTHING
RETURNING payment_hash;

-- KnownStrays are those of a page of payments that are noted already.
-- name: KnownStrays :many
SELECT payment_index, created_ns FROM stray_payment WHERE node = @node AND payment_index = ANY(@payment_indexes::bigint[]);

-- Liabilities is what is owed now: balances, and what was received and no
-- balance says yet.
-- name: Liabilities :one
SELECT ((SELECT coalesce(sum(available_msat + locked_msat), 0) FROM balance)
    + (SELECT coalesce(sum(amt_paid_msat), 0) FROM receipt WHERE state = 'uncredited'))::bigint AS liabilities_msat;

-- name: Now :one
SELECT now()::timestamptz AS now;

-- name: NodeNames :many
SELECT name FROM node ORDER BY name;
