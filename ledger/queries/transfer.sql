-- name: OpenAccounts :exec
INSERT INTO balance (workspace_id) VALUES (@workspace_id) ON CONFLICT DO NOTHING;

-- name: GetBalance :one
SELECT coalesce(b.available_msat, 0)::bigint AS available_msat,
    coalesce(b.locked_msat, 0)::bigint AS locked_msat,
    now()::timestamptz AS as_of
FROM (SELECT @workspace_id::text AS workspace_id) w
LEFT JOIN balance b ON b.workspace_id = w.workspace_id;

-- PostTransfers books a whole batch in one statement: one lock and one version
-- bump per workspace, in ascending order, so that concurrent batches cannot
-- deadlock. A workspace whose balance would fall below zero gets none of its
-- rows; the caller sees fewer rows than it asked for and rolls back.
-- name: PostTransfers :many
WITH input AS (
    SELECT t.*,
        CASE WHEN t.credit_account = 1 THEN t.amount_msat WHEN t.debit_account = 1 THEN -t.amount_msat ELSE 0 END AS available_delta,
        CASE WHEN t.credit_account = 2 THEN t.amount_msat WHEN t.debit_account = 2 THEN -t.amount_msat ELSE 0 END AS locked_delta
    FROM (
        SELECT generate_subscripts(@ids::text[], 1) AS ord, unnest(@ids::text[]) AS id,
            unnest(@workspace_ids::text[]) AS workspace_id, unnest(@kinds::text[]) AS kind,
            unnest(@refs::text[]) AS ref, unnest(@debit_accounts::smallint[]) AS debit_account,
            unnest(@credit_accounts::smallint[]) AS credit_account, unnest(@amounts_msat::bigint[]) AS amount_msat
    ) t
), delta AS (
    SELECT workspace_id, sum(available_delta)::bigint AS available_delta,
        sum(locked_delta)::bigint AS locked_delta, count(*) AS n
    FROM input GROUP BY workspace_id
), held AS (
    -- By the array: the planner takes an unnested one for so long that it reads
    -- all balances instead.
    SELECT b.workspace_id FROM balance b WHERE b.workspace_id = ANY(@workspace_ids::text[])
    ORDER BY b.workspace_id FOR UPDATE OF b
), touched AS (
    UPDATE balance b
    SET available_msat = b.available_msat + d.available_delta,
        locked_msat = b.locked_msat + d.locked_delta,
        version = b.version + d.n,
        updated_at = now()
    FROM delta d JOIN held USING (workspace_id)
    WHERE b.workspace_id = d.workspace_id AND b.workspace_id = ANY(@workspace_ids::text[])
        AND b.available_msat + d.available_delta >= 0
        AND b.locked_msat + d.locked_delta >= 0
    RETURNING b.workspace_id, b.version - d.n AS version_before,
        b.available_msat - d.available_delta AS available_before,
        b.locked_msat - d.locked_delta AS locked_before
)
INSERT INTO transfer (workspace_id, sequence, id, kind, ref, debit_account,
    credit_account, amount_msat, available_after_msat, locked_after_msat)
SELECT i.workspace_id, t.version_before + row_number() OVER w, i.id, i.kind, i.ref,
    i.debit_account, i.credit_account, i.amount_msat,
    t.available_before + sum(i.available_delta) OVER w,
    t.locked_before + sum(i.locked_delta) OVER w
FROM input i JOIN touched t USING (workspace_id)
WINDOW w AS (PARTITION BY i.workspace_id ORDER BY i.ord)
RETURNING *;

-- The three lists have an index each; before_sequence is above all of them
-- for the first page.
-- name: ListTransfers :many
SELECT * FROM transfer WHERE workspace_id = @workspace_id AND sequence < @before_sequence
ORDER BY sequence DESC LIMIT @max_rows;

-- A ref has few transfers.
-- name: ListTransfersByRef :many
SELECT * FROM transfer WHERE ref = @ref AND workspace_id = @workspace_id AND sequence < @before_sequence
    AND (@kind::text = '' OR kind = @kind::text)
ORDER BY sequence DESC LIMIT @max_rows;

-- Most transfers are of charges; the index is of the others.
-- name: ListTransfersOfCharges :many
SELECT * FROM transfer WHERE workspace_id = @workspace_id AND kind = 'charge_settled' AND sequence < @before_sequence
ORDER BY sequence DESC LIMIT @max_rows;

-- name: ListTransfersByKind :many
SELECT * FROM transfer WHERE workspace_id = @workspace_id AND kind <> 'charge_settled' AND kind = @kind AND sequence < @before_sequence
ORDER BY sequence DESC LIMIT @max_rows;

-- The books of one workspace, added up from its transfers.
-- name: SumTransfers :one
SELECT
    coalesce(sum(CASE WHEN credit_account = 1 THEN amount_msat WHEN debit_account = 1 THEN -amount_msat ELSE 0 END), 0)::bigint AS available_msat,
    coalesce(sum(CASE WHEN credit_account = 2 THEN amount_msat WHEN debit_account = 2 THEN -amount_msat ELSE 0 END), 0)::bigint AS locked_msat,
    count(*) AS transfers, coalesce(max(sequence), 0)::bigint AS last_sequence
FROM transfer WHERE workspace_id = @workspace_id;
