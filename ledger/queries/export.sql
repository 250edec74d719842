-- A page of `lntpay ops export transfers`; see store/queries/export.sql.
-- name: ExportTransfers :many
SELECT * FROM transfer
WHERE (workspace_id, sequence) > (@after_workspace::text, @after_sequence::bigint)
    AND (@workspace_id::text = '' OR workspace_id = @workspace_id)
    AND created_at >= @since::timestamptz AND created_at < @until::timestamptz
ORDER BY workspace_id, sequence LIMIT @max_rows;

-- name: ExportBlocks :many
SELECT * FROM ledger_block
WHERE (workspace_id, number) > (@after_workspace::text, @after_number::bigint)
    AND (@workspace_id::text = '' OR workspace_id = @workspace_id)
    AND sealed_at >= @since::timestamptz AND sealed_at < @until::timestamptz
ORDER BY workspace_id, number LIMIT @max_rows;

-- name: ExportHeads :many
SELECT * FROM ledger_head
WHERE number > @after_number::bigint AND sealed_at >= @since::timestamptz AND sealed_at < @until::timestamptz
ORDER BY number LIMIT @max_rows;
