-- NoteStrays writes payments that no live withdrawal explains, or what has
-- become of those that are noted. One that is closed stays so.
-- name: NoteStrays :many
INSERT INTO stray_payment AS s (node, payment_index, created_ns, payment_hash, withdrawal_id, status, amount_msat, fee_msat, state)
SELECT @node::text, unnest(@payment_indexes::bigint[]), unnest(@created_ns::bigint[]), unnest(@payment_hashes::bytea[]),
    nullif(unnest(@withdrawal_ids::text[]), ''), unnest(@statuses::text[]), unnest(@amounts_msat::bigint[]),
    unnest(@fees_msat::bigint[]), 'open'
ON CONFLICT (node, payment_index, created_ns) DO UPDATE
    SET status = excluded.status, amount_msat = excluded.amount_msat, fee_msat = excluded.fee_msat,
        withdrawal_id = coalesce(s.withdrawal_id, excluded.withdrawal_id)
    WHERE s.state = 'open'
RETURNING s.*, (s.xmax = 0)::boolean AS is_new;

-- name: OpenStrays :many
SELECT * FROM stray_payment WHERE node = @node AND state = 'open' ORDER BY payment_index LIMIT @max_rows;

-- name: HasOpenStray :one
SELECT EXISTS (SELECT FROM stray_payment WHERE node = @node AND state = 'open');

-- A payment that is in the books as a loss, or is its owner's, is nobody's
-- withdrawal.
-- name: IsClosedStray :one
SELECT EXISTS (SELECT FROM stray_payment WHERE node = @node AND payment_index = @payment_index
    AND created_ns = @created_ns AND state IN ('booked', 'owner'));

-- name: LowestAddIndex :one
SELECT coalesce(min(add_index), 1)::bigint AS add_index FROM charge WHERE node = @node;

-- name: CloseStray :execrows
UPDATE stray_payment SET state = @state::text, closed_at = now()
WHERE node = @node AND payment_index = @payment_index AND created_ns = @created_ns AND state = 'open';

-- name: FailStray :execrows
UPDATE stray_payment SET status = 'failed', state = 'failed', closed_at = now()
WHERE node = @node AND payment_index = @payment_index AND created_ns = @created_ns AND state = 'open';

-- BeginExplained notes where a node stood when it became ours.
-- name: BeginExplained :exec
UPDATE node SET payments_explained_to = @payment_index::bigint, payments_ours_from = @payment_index::bigint
WHERE name = @name AND payments_explained_to IS NULL;

-- MoveExplained moves the mark up to which all payments of a node are explained
-- and over, from where the sweep began: a thaw may have set it back meanwhile.
-- name: MoveExplained :exec
UPDATE node SET payments_explained_to = @explained_to::bigint
WHERE name = @name AND payments_explained_to = @explained_from::bigint;

-- RebaseNode begins a thaw: what the node has now is what counts from here.
-- lnd sends nothing live at or below the cursor that it is given, so the cursor
-- is the node's own highest; and all payments are to be explained anew, because
-- nobody knows where the node fell back to. Open charges whose invoices the node
-- has lost forget where they stood on it: else each would show that the node went
-- back in time, thaw after thaw.
-- name: RebaseNode :execrows
WITH lost AS (
    UPDATE charge c SET add_index = NULL
    FROM node n
    WHERE n.name = @name AND n.thaw_requested_at IS NOT NULL
        AND c.node = n.name AND c.status = 'pending' AND c.add_index > @add_index::bigint
)
UPDATE node m SET settle_cursor = @settle_index::bigint,
    highest_add_index = @add_index::bigint, highest_settle_index = @settle_index::bigint,
    highest_payment_index = @payment_index::bigint,
    payments_explained_to = least(m.payments_ours_from, @payment_index::bigint)
WHERE m.name = @name AND m.thaw_requested_at IS NOT NULL;

-- ThawNode ends a regression on an operator's word, after its lists were read.
-- name: ThawNode :execrows
UPDATE node SET regressed_at = NULL, thaw_requested_at = NULL
WHERE name = @name AND thaw_requested_at IS NOT NULL;
