-- name: ReadWithdrawal :one
SELECT * FROM withdrawal WHERE id = @id AND workspace_id = @workspace_id;
