-- A charge in creating is invisible: every query here leaves it out.

-- name: ReadCharge :one
SELECT * FROM charge
WHERE id = @id AND workspace_id = @workspace_id AND status <> 'creating';

-- name: ReadChargePage :many
SELECT * FROM charge
WHERE workspace_id = @workspace_id AND status <> 'creating' AND id < @before_id
  AND created_at > @created_after AND created_at < @created_before
ORDER BY id DESC LIMIT @max_rows;

-- One status, asked for as a range: the order is then that of the index by status
-- and of no other. For an equal status the planner may read the charges of all,
-- and reads them to the last where those of this one end.
-- name: ReadChargePageByStatus :many
SELECT * FROM charge
WHERE workspace_id = @workspace_id AND status <> 'creating'
  AND status >= @status::text AND (status, id) < (@status::text, @before_id::text)
  AND created_at > @created_after AND created_at < @created_before
ORDER BY status DESC, id DESC LIMIT @max_rows;

-- name: ReadChargePageByExternalID :many
SELECT * FROM charge
WHERE workspace_id = @workspace_id AND status <> 'creating' AND external_id = @external_id::text
  AND id < @before_id AND (@status::text = '' OR status = @status::text)
  AND created_at > @created_after AND created_at < @created_before
ORDER BY id DESC LIMIT @max_rows;

-- name: ReadPendingMsat :one
SELECT coalesce(sum(amount_msat), 0)::bigint AS pending_msat
FROM charge WHERE workspace_id = @workspace_id AND status = 'pending';
