-- What reconciliation asks the books: each query returns what is otherwise than
-- it must be. All are of one snapshot. They read everything, set by set.

-- CheckTransfers is I2 step by step: the sequence has no gap, each transfer's
-- balances follow from those before it, and each kind moves between the accounts
-- that it is for.
-- name: CheckTransfers :many
WITH moved AS (
    SELECT t.*,
        CASE WHEN t.credit_account = 1 THEN t.amount_msat WHEN t.debit_account = 1 THEN -t.amount_msat ELSE 0 END AS available_delta,
        CASE WHEN t.credit_account = 2 THEN t.amount_msat WHEN t.debit_account = 2 THEN -t.amount_msat ELSE 0 END AS locked_delta,
        coalesce(lag(t.sequence) OVER w, 0) AS sequence_before,
        coalesce(lag(t.available_after_msat) OVER w, 0) AS available_before,
        coalesce(lag(t.locked_after_msat) OVER w, 0) AS locked_before
    FROM transfer t
    WINDOW w AS (PARTITION BY t.workspace_id ORDER BY t.sequence)
)
SELECT 'I2'::text AS invariant, 'transfer_gap'::text AS kind, (m.workspace_id || '/' || m.sequence)::text AS subject,
    m.workspace_id::text AS workspace_id,
    jsonb_build_object('sequence', m.sequence, 'sequence_before', m.sequence_before)::jsonb AS detail
FROM moved m WHERE m.sequence <> m.sequence_before + 1
UNION ALL
SELECT 'I2', 'transfer_altered', m.id, m.workspace_id, jsonb_build_object('kind', m.kind, 'ref', m.ref,
    'sequence', m.sequence, 'amount_msat', m.amount_msat,
    'available_before_msat', m.available_before, 'available_after_msat', m.available_after_msat,
    'locked_before_msat', m.locked_before, 'locked_after_msat', m.locked_after_msat)
FROM moved m
WHERE m.sequence = m.sequence_before + 1 AND (m.amount_msat <= 0
    OR m.available_after_msat <> m.available_before + m.available_delta
    OR m.locked_after_msat <> m.locked_before + m.locked_delta)
UNION ALL
SELECT 'I2', 'transfer_unknown', m.id, m.workspace_id, jsonb_build_object('kind', m.kind, 'ref', m.ref,
    'debit_account', m.debit_account, 'credit_account', m.credit_account, 'amount_msat', m.amount_msat)
FROM moved m
WHERE (m.kind, m.debit_account, m.credit_account) NOT IN (
    ('charge_settled', 10, 1), ('charge_settled', 11, 1), ('suspense_assigned', 10, 1), ('withdrawal_lock', 1, 2), ('withdrawal_post', 2, 10),
    ('withdrawal_book', 2, 11), ('withdrawal_void', 2, 1), ('withdrawal_fee', 2, 12), ('withdrawal_release', 2, 1),
    ('operator_loss_fee', 14, 12), ('operator_loss_payment', 14, 10))
LIMIT @max_rows;

-- CheckBalances is I1, and I2 as a whole: a balance row is the sum of its
-- transfers and equals what the last of them says.
-- name: CheckBalances :many
WITH sums AS (
    SELECT t.workspace_id,
        sum(CASE WHEN t.credit_account = 1 THEN t.amount_msat WHEN t.debit_account = 1 THEN -t.amount_msat ELSE 0 END)::bigint AS available_msat,
        sum(CASE WHEN t.credit_account = 2 THEN t.amount_msat WHEN t.debit_account = 2 THEN -t.amount_msat ELSE 0 END)::bigint AS locked_msat,
        max(t.sequence) AS last_sequence
    FROM transfer t GROUP BY t.workspace_id
), compared AS (
    SELECT coalesce(b.workspace_id, s.workspace_id) AS workspace_id, b.workspace_id IS NULL AS no_row,
        coalesce(b.available_msat, 0) AS available_msat, coalesce(b.locked_msat, 0) AS locked_msat,
        coalesce(b.version, 0) AS version, coalesce(s.available_msat, 0) AS sum_available_msat,
        coalesce(s.locked_msat, 0) AS sum_locked_msat, coalesce(s.last_sequence, 0) AS last_sequence,
        coalesce(l.available_after_msat, 0) AS last_available_msat, coalesce(l.locked_after_msat, 0) AS last_locked_msat
    FROM balance b FULL JOIN sums s ON s.workspace_id = b.workspace_id
    LEFT JOIN transfer l ON l.workspace_id = s.workspace_id AND l.sequence = s.last_sequence
)
SELECT (CASE WHEN c.available_msat < 0 OR c.locked_msat < 0 THEN 'I1' ELSE 'I2' END)::text AS invariant,
    (CASE WHEN c.available_msat < 0 OR c.locked_msat < 0 THEN 'balance_negative' ELSE 'balance_drift' END)::text AS kind,
    c.workspace_id::text AS subject, c.workspace_id::text AS workspace_id, jsonb_build_object(
        'available_msat', c.available_msat, 'locked_msat', c.locked_msat, 'version', c.version,
        'sum_available_msat', c.sum_available_msat, 'sum_locked_msat', c.sum_locked_msat,
        'last_available_msat', c.last_available_msat, 'last_locked_msat', c.last_locked_msat,
        'last_sequence', c.last_sequence)::jsonb AS detail
FROM compared c
WHERE c.no_row OR c.available_msat < 0 OR c.locked_msat < 0
    OR c.available_msat <> c.sum_available_msat OR c.locked_msat <> c.sum_locked_msat
    OR c.available_msat <> c.last_available_msat OR c.locked_msat <> c.last_locked_msat
    OR c.version <> c.last_sequence
LIMIT @max_rows;

-- BooksTotal adds up all books: what is owed by the balance rows, and the system
-- accounts by the transfers, credits less debits. I6 says that all of it is zero,
-- and that what left by one balance through internal clearing came to another.
-- name: BooksTotal :one
SELECT b.available_msat, b.locked_msat, s.*
FROM (
    SELECT coalesce(sum(available_msat), 0)::bigint AS available_msat, coalesce(sum(locked_msat), 0)::bigint AS locked_msat
    FROM balance
) b, (
    SELECT
        coalesce(sum(CASE WHEN credit_account = 10 THEN amount_msat WHEN debit_account = 10 THEN -amount_msat END), 0)::bigint AS lightning_clearing_msat,
        coalesce(sum(CASE WHEN credit_account = 11 THEN amount_msat WHEN debit_account = 11 THEN -amount_msat END), 0)::bigint AS internal_clearing_msat,
        coalesce(sum(CASE WHEN credit_account = 12 THEN amount_msat WHEN debit_account = 12 THEN -amount_msat END), 0)::bigint AS routing_fee_msat,
        coalesce(sum(CASE WHEN credit_account = 14 THEN amount_msat WHEN debit_account = 14 THEN -amount_msat END), 0)::bigint AS operator_loss_msat,
        coalesce(sum(CASE WHEN credit_account > 12 AND credit_account <> 14 THEN amount_msat END), 0)::bigint
            - coalesce(sum(CASE WHEN debit_account > 12 AND debit_account <> 14 THEN amount_msat END), 0)::bigint AS other_msat
    FROM transfer WHERE credit_account > 2 OR debit_account > 2
) s;
