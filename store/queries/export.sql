-- The pages of `lntpay ops export`: each continues behind the last row of the
-- one before. A workspace of "" means all; the times bound created_at (of a
-- receipt: recorded_at), the first included, the last not.

-- name: ExportCharges :many
SELECT * FROM charge
WHERE id > @after_id::text AND status <> 'creating' AND (@workspace_id::text = '' OR workspace_id = @workspace_id)
    AND created_at >= @since::timestamptz AND created_at < @until::timestamptz
ORDER BY id LIMIT @max_rows;

-- name: ExportWithdrawals :many
SELECT * FROM withdrawal
WHERE id > @after_id::text AND (@workspace_id::text = '' OR workspace_id = @workspace_id)
    AND created_at >= @since::timestamptz AND created_at < @until::timestamptz
ORDER BY id LIMIT @max_rows;

-- name: ExportEvents :many
SELECT * FROM event
WHERE (workspace_id, sequence) > (@after_workspace::text, @after_sequence::bigint)
    AND (@workspace_id::text = '' OR workspace_id = @workspace_id)
    AND created_at >= @since::timestamptz AND created_at < @until::timestamptz
ORDER BY workspace_id, sequence LIMIT @max_rows;

-- name: ExportReceipts :many
SELECT r.node, r.payment_hash, r.amt_paid_msat, r.settle_index, r.settled_at, r.recorded_at, r.state, r.charge_id,
    coalesce(r.assigned_to, c.workspace_id, '')::text AS workspace_id
FROM receipt r LEFT JOIN charge c ON c.id = r.charge_id
WHERE (r.node, r.payment_hash) > (@after_node::text, @after_hash::bytea)
    AND (@workspace_id::text = '' OR coalesce(r.assigned_to, c.workspace_id) = @workspace_id)
    AND r.recorded_at >= @since::timestamptz AND r.recorded_at < @until::timestamptz
ORDER BY r.node, r.payment_hash LIMIT @max_rows;

-- name: ExportActions :many
SELECT a.id, a.created_at, a.actor, a.action, a.target, a.reason, a.detail, s.head
FROM operator_action a LEFT JOIN operator_action_seal s ON s.action_id = a.id
WHERE a.id > @after_id::bigint
    AND a.created_at >= @since::timestamptz AND a.created_at < @until::timestamptz
ORDER BY a.id LIMIT @max_rows;

-- BeginExport gives a transaction the time that a page of few rows among many
-- takes, and a reader of a pipe the time to read. Each page goes on along an
-- index: what a sort would cost once, all pages would.
-- name: BeginExport :exec
SELECT set_config('statement_timeout', '5min', true), set_config('idle_in_transaction_session_timeout', '10min', true),
    set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true);

-- name: ExportClock :one
SELECT now()::timestamptz AS now;
