-- name: InsertWebhookEndpoint :one
INSERT INTO webhook_endpoint (id, workspace_id, url, events, description, secret_sealed)
VALUES (@id, @workspace_id, @url, @events, sqlc.narg(description), @secret_sealed)
RETURNING *;

-- name: ReadWebhookEndpoint :one
SELECT * FROM webhook_endpoint
WHERE id = @id AND workspace_id = @workspace_id AND deleted_at IS NULL;

-- name: ReadWebhookEndpointPage :many
SELECT * FROM webhook_endpoint
WHERE workspace_id = @workspace_id AND deleted_at IS NULL AND id < @before_id
ORDER BY id DESC LIMIT @max_rows;

-- name: UpdateWebhookEndpoint :one
-- A null argument leaves the column as it is; the description alone can be
-- set to null, so it has a flag.
UPDATE webhook_endpoint SET
    url = coalesce(sqlc.narg(url), url),
    events = coalesce(sqlc.narg(events)::text[], events),
    status = coalesce(sqlc.narg(status), status),
    -- Enabled again is a fresh start: old failures must not disable it at once.
    failing_since = CASE WHEN status = 'disabled' THEN NULL ELSE failing_since END,
    description = CASE WHEN @set_description::bool THEN sqlc.narg(description) ELSE description END
WHERE id = @id AND workspace_id = @workspace_id AND deleted_at IS NULL
RETURNING *;

-- name: DeleteWebhookEndpoint :execrows
UPDATE webhook_endpoint SET deleted_at = now(), status = 'disabled'
WHERE id = @id AND workspace_id = @workspace_id AND deleted_at IS NULL;

-- RotateWebhookSecret keeps the old secret beside the new one until the overlap
-- ends. The one before the old is gone: two at a time.
-- name: RotateWebhookSecret :one
UPDATE webhook_endpoint SET
    previous_secret_sealed = CASE WHEN sqlc.arg(overlap_s)::int > 0 THEN secret_sealed END,
    previous_secret_until = CASE WHEN sqlc.arg(overlap_s)::int > 0 THEN now() + sqlc.arg(overlap_s)::int * interval '1 second' END,
    secret_sealed = sqlc.arg(new_secret_sealed)::bytea
WHERE id = @id AND workspace_id = @workspace_id AND deleted_at IS NULL
RETURNING *;
