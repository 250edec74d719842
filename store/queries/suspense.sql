-- Receipts that no charge explains, or a charge that was paid before.

-- name: ListSuspense :many
SELECT r.node, r.payment_hash, r.amt_paid_msat, r.settled_at, r.recorded_at, r.charge_id, c.workspace_id
FROM receipt r LEFT JOIN charge c ON c.id = r.charge_id
WHERE r.state = 'suspense' ORDER BY r.recorded_at, r.node, r.payment_hash LIMIT @max_rows;

-- name: LockReceipts :many
SELECT * FROM receipt WHERE payment_hash = @payment_hash AND node = coalesce(sqlc.narg(node)::text, node)
ORDER BY node FOR UPDATE;

-- name: EndSuspense :execrows
UPDATE receipt SET state = @state::text, assigned_to = sqlc.narg(assigned_to)::text
WHERE node = @node AND payment_hash = @payment_hash AND state = 'suspense';
