-- Limits: what is left of rates, and what operators have set for a workspace.

-- TakeTokens takes up to want whole tokens out of a bucket that holds burst at
-- most and gains per_second; a bucket without a row is full. tokens is what is
-- left. A clock that was put back is followed.
-- name: TakeTokens :one
INSERT INTO rate_bucket AS b (id, tokens, granted, refilled_at)
VALUES (@id, sqlc.arg(burst)::float8 - rate_grant(@burst::float8, now(), @per_second::float8, @burst::float8, @want::float8),
    rate_grant(@burst::float8, now(), @per_second::float8, @burst::float8, @want::float8), now())
ON CONFLICT (id) DO UPDATE SET
    tokens = rate_tokens(b.tokens, b.refilled_at, @per_second::float8, @burst::float8)
        - rate_grant(b.tokens, b.refilled_at, @per_second::float8, @burst::float8, @want::float8),
    granted = rate_grant(b.tokens, b.refilled_at, @per_second::float8, @burst::float8, @want::float8),
    refilled_at = CASE WHEN b.refilled_at > now() + interval '1 minute' THEN now() ELSE greatest(b.refilled_at, now()) END
RETURNING granted, tokens;

-- name: WorkspaceLimits :many
SELECT name, value FROM workspace_limit WHERE workspace_id = @workspace_id AND value IS NOT NULL ORDER BY name;

-- SetWorkspaceLimit with no value has the setting hold again.
-- name: SetWorkspaceLimit :exec
INSERT INTO workspace_limit (workspace_id, name, value) VALUES (@workspace_id, @name, sqlc.narg(value))
ON CONFLICT (workspace_id, name) DO UPDATE SET value = excluded.value;

-- CountWorkspacePending counts a workspace's pending charges, and no further than
-- max_count.
-- name: CountWorkspacePending :one
SELECT count(*) FROM (
    SELECT FROM charge c WHERE c.workspace_id = @workspace_id AND c.status = 'pending' LIMIT @max_count
) open;
