-- name: GetBalance :one
SELECT available_msat, locked_msat, now()::timestamptz AS as_of
FROM balance WHERE workspace_id = @workspace_id;
