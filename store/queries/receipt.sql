-- WriteReceipts records what the node settled; again is harmless. A receipt
-- that no charge explains is suspense.
-- name: WriteReceipts :many
WITH input AS (
    SELECT unnest(@payment_hashes::bytea[]) AS payment_hash, unnest(@amts_paid_msat::bigint[]) AS amt_paid_msat,
        unnest(@settle_indexes::bigint[]) AS settle_index, unnest(@settled_ats::timestamptz[]) AS settled_at
), written AS (
    INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, charge_id, state, next_check_at)
    SELECT @node::text, i.payment_hash, i.amt_paid_msat, i.settle_index, i.settled_at, c.id,
        CASE WHEN c.id IS NULL THEN 'suspense' ELSE 'uncredited' END,
        CASE WHEN c.id IS NULL THEN NULL ELSE now() END
    FROM input i LEFT JOIN charge c ON c.payment_hash = i.payment_hash AND c.node = @node::text
    ORDER BY i.payment_hash
    ON CONFLICT DO NOTHING
    RETURNING payment_hash, amt_paid_msat, charge_id, extract(epoch FROM clock_timestamp() - settled_at)::float8 AS settled_s_ago
)
SELECT w.payment_hash, w.amt_paid_msat, coalesce(c.id, '')::text AS charge_id,
    coalesce(c.workspace_id, '')::text AS workspace_id, coalesce(c.amount_msat, 0)::bigint AS amount_msat, w.settled_s_ago
FROM written w LEFT JOIN charge c ON c.id = w.charge_id;

-- AdvanceSettleCursor moves the cursor to the highest index whose receipt is
-- older than ten minutes on a stream that was unbroken since: by then every
-- lower index has been replayed, whatever order the node replays in.
-- name: AdvanceSettleCursor :exec
UPDATE node n SET settle_cursor = coalesce((
    SELECT max(r.settle_index) FROM receipt r
    WHERE r.node = n.name AND r.recorded_at >= @stream_opened_at::timestamptz
        AND r.recorded_at < now() - interval '10 minutes'
), 0)
WHERE n.name = @name AND n.regressed_at IS NULL AND n.settle_cursor < (
    SELECT max(r.settle_index) FROM receipt r
    WHERE r.node = n.name AND r.recorded_at >= @stream_opened_at::timestamptz
        AND r.recorded_at < now() - interval '10 minutes');

-- name: RaiseHighestIndexes :exec
UPDATE node SET highest_add_index = greatest(highest_add_index, @add_index::bigint),
    highest_settle_index = greatest(highest_settle_index, @settle_index::bigint)
WHERE name = @name AND (highest_add_index < @add_index::bigint OR highest_settle_index < @settle_index::bigint);

-- name: RaiseHighestPayment :exec
UPDATE node SET highest_payment_index = @payment_index::bigint
WHERE name = @name AND highest_payment_index < @payment_index::bigint;

-- name: MarkNodeRegressed :execrows
UPDATE node SET regressed_at = now() WHERE name = @name AND regressed_at IS NULL;

-- name: CreditReceipts :exec
UPDATE receipt r SET state = 'credited', next_check_at = NULL
FROM (SELECT unnest(@nodes::text[]) AS node, unnest(@payment_hashes::bytea[]) AS payment_hash) paid
WHERE r.node = paid.node AND r.payment_hash = paid.payment_hash AND r.state = 'uncredited';

-- name: HasCreditedReceipt :one
SELECT EXISTS (SELECT FROM receipt WHERE node = @node AND payment_hash = @payment_hash AND state = 'credited')::boolean;

-- A receipt for a charge that was paid otherwise is suspense.
-- name: SuspendReceipts :many
UPDATE receipt r SET state = 'suspense', next_check_at = NULL
FROM charge c
WHERE c.id = ANY(@charge_ids::text[]) AND r.node = c.node AND r.payment_hash = c.payment_hash AND r.state = 'uncredited'
    AND c.status = 'paid'
RETURNING c.id;

-- UncreditedReceipts are receipts without credit that nobody has come back to
-- for the given time. Noting that somebody now does keeps stuck ones from
-- hiding the others behind the limit; one that is just being settled is locked
-- and left alone.
-- name: UncreditedReceipts :many
WITH due AS (
    SELECT r.node, r.payment_hash FROM receipt r
    WHERE r.next_check_at < now() - make_interval(secs => @older_than_s::float8)
    ORDER BY r.next_check_at LIMIT @max_rows FOR UPDATE SKIP LOCKED
)
UPDATE receipt r SET next_check_at = now()
FROM due, charge c
WHERE r.node = due.node AND r.payment_hash = due.payment_hash AND c.id = r.charge_id
RETURNING c.id, c.workspace_id, c.amount_msat;
