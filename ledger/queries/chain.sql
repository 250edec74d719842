-- The hash chain: see chain.go.

-- TrySealing makes its transaction the only sealer; false when there is one.
-- name: TrySealing :one
SELECT pg_try_advisory_xact_lock(7305114290171351918);

-- name: ChainTip :one
SELECT number, hash FROM ledger_head ORDER BY number DESC LIMIT 1;

-- name: ChainClock :one
SELECT now()::timestamptz AS now;

-- Workspaces with transfers that no block holds. In any order, so that neither
-- busy ones nor those that cannot be sealed hide the others behind the limit.
-- name: UnsealedWorkspaces :many
SELECT b.workspace_id, coalesce(t.number, 0)::bigint AS number, coalesce(t.last_sequence, 0)::bigint AS sealed_to,
    t.hash, b.version
FROM balance b LEFT JOIN LATERAL (
    SELECT k.number, k.last_sequence, k.hash FROM ledger_block k
    WHERE k.workspace_id = b.workspace_id ORDER BY k.number DESC LIMIT 1
) t ON true
WHERE b.version > coalesce(t.last_sequence, 0)
ORDER BY random()
LIMIT @max_rows;

-- name: CountUnsealed :one
SELECT coalesce(sum(b.version - coalesce((
    SELECT k.last_sequence FROM ledger_block k WHERE k.workspace_id = b.workspace_id ORDER BY k.number DESC LIMIT 1
), 0)), 0)::bigint AS transfers
FROM balance b;

-- Transfers of several workspaces, of each the range that goes with it.
-- name: TransferRanges :many
SELECT t.*
FROM (
    SELECT unnest(@workspace_ids::text[]) AS workspace_id, unnest(@after_sequences::bigint[]) AS after_sequence,
        unnest(@last_sequences::bigint[]) AS last_sequence
) r
JOIN transfer t ON t.workspace_id = r.workspace_id AND t.sequence > r.after_sequence AND t.sequence <= r.last_sequence
ORDER BY t.workspace_id, t.sequence;

-- name: UnsealedActions :many
SELECT a.id, a.actor, a.action, a.target, a.reason, a.detail::text AS detail, a.created_at
FROM operator_action a
WHERE NOT EXISTS (SELECT FROM operator_action_seal s WHERE s.action_id = a.id)
ORDER BY a.id LIMIT @max_rows;

-- name: CountUnsealedActions :one
SELECT count(*) FROM operator_action a
WHERE NOT EXISTS (SELECT FROM operator_action_seal s WHERE s.action_id = a.id);

-- name: AddBlocks :exec
INSERT INTO ledger_block (workspace_id, number, first_sequence, last_sequence, previous, hash, head, sealed_at)
SELECT unnest(@workspace_ids::text[]), unnest(@numbers::bigint[]), unnest(@first_sequences::bigint[]),
    unnest(@last_sequences::bigint[]), unnest(@previous::bytea[]), unnest(@hashes::bytea[]),
    @head::bigint, @sealed_at::timestamptz;

-- name: AddActionSeals :exec
INSERT INTO operator_action_seal (action_id, head) SELECT unnest(@action_ids::bigint[]), @head::bigint;

-- name: AddHead :exec
INSERT INTO ledger_head (number, blocks, actions, previous, hash, sealed_at)
VALUES (@number, @blocks, @actions, @previous, @hash, @sealed_at);

-- The pages of a verification: each continues after the last row of the one
-- before. A workspace of "" means all.

-- name: BalancesPage :many
SELECT workspace_id, available_msat, locked_msat, version FROM balance
WHERE workspace_id > @after_workspace::text AND (@workspace_id::text = '' OR workspace_id = @workspace_id)
ORDER BY workspace_id LIMIT @max_rows;

-- name: TransfersPage :many
SELECT * FROM transfer
WHERE (workspace_id, sequence) > (@after_workspace::text, @after_sequence::bigint)
ORDER BY workspace_id, sequence LIMIT @max_rows;

-- name: WorkspaceTransfersPage :many
SELECT * FROM transfer WHERE workspace_id = @workspace_id AND sequence > @after_sequence::bigint
ORDER BY sequence LIMIT @max_rows;

-- name: BlocksPage :many
SELECT * FROM ledger_block
WHERE (workspace_id, number) > (@after_workspace::text, @after_number::bigint)
ORDER BY workspace_id, number LIMIT @max_rows;

-- name: WorkspaceBlocksPage :many
SELECT * FROM ledger_block WHERE workspace_id = @workspace_id AND number > @after_number::bigint
ORDER BY number LIMIT @max_rows;

-- name: BlocksByHeadPage :many
SELECT head, workspace_id, number, hash FROM ledger_block
WHERE (head, workspace_id, number) > (@after_head::bigint, @after_workspace::text, @after_number::bigint)
ORDER BY head, workspace_id, number LIMIT @max_rows;

-- name: HeadsPage :many
SELECT * FROM ledger_head WHERE number > @after_number::bigint ORDER BY number LIMIT @max_rows;

-- found is false where the row of the audit trail is gone.
-- name: SealedActionsPage :many
SELECT s.head, s.action_id, (a.id IS NOT NULL)::boolean AS found, coalesce(a.actor, '') AS actor,
    coalesce(a.action, '') AS action, coalesce(a.target, '') AS target, coalesce(a.reason, '') AS reason,
    coalesce(a.detail::text, '')::text AS detail, coalesce(a.created_at, to_timestamp(0))::timestamptz AS created_at
FROM operator_action_seal s LEFT JOIN operator_action a ON a.id = s.action_id
WHERE (s.head, s.action_id) > (@after_head::bigint, @after_action::bigint)
ORDER BY s.head, s.action_id LIMIT @max_rows;
