-- name: InsertAPIKey :one
INSERT INTO api_key (id, workspace_id, name, scopes, secret_sha256, last4, expires_at)
VALUES (@id, @workspace_id, @name, @scopes, @secret_sha256, @last4, sqlc.narg(expires_at))
RETURNING *;

-- name: AuthenticateAPIKey :one
SELECT id, workspace_id, scopes, expires_at, now()::timestamptz AS now
FROM api_key
WHERE secret_sha256 = @secret_sha256 AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > now());

-- name: ReadAPIKeyPage :many
SELECT * FROM api_key
WHERE workspace_id = @workspace_id AND id < @before_id AND revoked_at IS NULL
ORDER BY id DESC LIMIT @max_rows;

-- name: RevokeAPIKey :execrows
UPDATE api_key SET revoked_at = now()
WHERE id = @id AND workspace_id = @workspace_id AND revoked_at IS NULL;
