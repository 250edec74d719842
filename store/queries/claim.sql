-- name: InsertClaim :one
-- No row means that the key is taken: FindClaim reads by whom. start_by is by
-- this clock, the one that the opening transaction compares it with. Unhurried,
-- the commit is not waited for: what decides the claim commits behind it in the
-- log, and a claim that a crash took was a POST that never came.
INSERT INTO claim (resource_id, workspace_id, path, key, body_sha256, request, request_id)
VALUES (@resource_id, @workspace_id, @path, sqlc.narg(key), @body_sha256, @request, @request_id)
ON CONFLICT (workspace_id, path, key) WHERE key IS NOT NULL DO NOTHING
RETURNING (now() + interval '10 seconds')::timestamptz AS start_by,
    (CASE WHEN @unhurried::boolean THEN set_config('synchronous_commit', 'off', true) ELSE '' END)::text AS unhurried;

-- name: FindClaim :one
SELECT resource_id, body_sha256, answer_status, answer,
    (now() + interval '10 seconds')::timestamptz AS start_by
FROM claim WHERE workspace_id = @workspace_id AND path = @path AND key = @key::text;

-- name: ReadAnswer :one
SELECT answer_status, answer FROM claim WHERE resource_id = @resource_id;
