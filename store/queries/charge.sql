-- The claim of a POST, locked: whoever holds it judges.
-- name: LockClaim :one
SELECT resource_id, workspace_id, request, request_id, answer_status, answer,
    (now() > @start_by::timestamptz)::boolean AS too_late
FROM claim WHERE resource_id = @resource_id FOR UPDATE;

-- name: AnswerClaim :execrows
UPDATE claim SET answer_status = @answer_status, answer = @answer, answered_at = now()
WHERE resource_id = @resource_id AND answer IS NULL;

-- JudgeOpening is the opening transaction in one statement: it locks the claim,
-- finds the charge's row, or inserts it from the claim's request if nothing is
-- answered and start_by has not passed. A row that a concurrent run inserted
-- while this one waited for the lock is not visible yet: neither existing nor
-- inserted, it takes a second look. Its commit is not waited for: until
-- FinishOpening's is, which comes behind it in the log, nobody has the invoice.
-- name: JudgeOpening :one
WITH c AS (
    SELECT claim.*, (now() > @start_by::timestamptz)::boolean AS too_late,
        set_config('synchronous_commit', 'off', true) AS unhurried
    FROM claim WHERE resource_id = @id FOR UPDATE
), inserted AS (
    INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat,
        description, metadata, external_id, expires_in_s, l402_resource)
    SELECT c.resource_id, c.workspace_id, @node::text, @key_id::text, @payment_hash::bytea, 'creating',
        (c.request->>'amount_msat')::bigint, c.request->>'description',
        coalesce(nullif(c.request->'metadata', 'null'), '{}'), c.request->>'external_id',
        (c.request->>'expires_in_s')::int, c.request->>'l402_resource'
    FROM c WHERE c.answer IS NULL AND NOT c.too_late
        AND NOT EXISTS (SELECT FROM charge WHERE id = @id)
    ON CONFLICT (id) DO NOTHING
    RETURNING *
)
SELECT c.too_late, (c.answer IS NOT NULL)::boolean AS answered,
    (i.id IS NOT NULL)::boolean AS inserted, coalesce(i.created_at, now())::timestamptz AS created_at,
    (e.id IS NOT NULL)::boolean AS existing, c.workspace_id, c.request, c.request_id
FROM c LEFT JOIN inserted i ON true LEFT JOIN charge e ON e.id = c.resource_id;

-- name: GetCharge :one
SELECT * FROM charge WHERE id = @id;

-- What a run sees when it looks at its row. due_in_ms counts from Postgres'
-- clock to when it is to be closed, and is negative past the expiry: who looks
-- then need not wait for the charge's place among the others.
-- name: LookAtCharge :one
SELECT sqlc.embed(charge),
    coalesce((extract(epoch FROM CASE WHEN charge.expires_at > now() THEN greatest(charge.expires_at, charge.next_check_at)
        ELSE charge.expires_at END - now()) * 1000)::bigint, 0)::bigint AS due_in_ms,
    EXISTS (SELECT FROM receipt r WHERE r.node = charge.node
        AND r.payment_hash = charge.payment_hash AND r.state = 'uncredited') AS has_receipt
FROM charge WHERE id = @id;

-- FinishOpening is the last step of opening: the invoice is stored and the
-- answer frozen at once. The status moves only from creating; money may have
-- come first. A claim that is answered already keeps its answer, and the row the
-- warnings that the answer names: a second run may see another inbound
-- liquidity. The claim is locked before the charge, as JudgeOpening does: asking
-- for answered's count makes it run first. The POST is woken when the transaction
-- commits, before the workflow's task has. close_at is when the run will close the
-- charge, at or after its expiry: nobody needs to check before.
-- name: FinishOpening :one
WITH answered AS (
    UPDATE claim SET answer_status = @answer_status, answer = @answer, answered_at = now()
    WHERE resource_id = @id AND answer IS NULL
    RETURNING resource_id
)
UPDATE charge SET bolt11 = @bolt11, add_index = @add_index, expires_at = @expires_at::timestamptz,
    warnings = CASE WHEN status = 'creating' THEN @warnings::text[] ELSE warnings END,
    status = CASE WHEN status = 'creating' THEN 'pending' ELSE status END,
    next_check_at = CASE WHEN status IN ('creating', 'pending') THEN @close_at::timestamptz ELSE NULL END
WHERE id = @id AND (SELECT count(pg_notify('lntpay_change', resource_id)) FROM answered) >= 0
RETURNING status;

-- A settlement that came before the opening finished needs the bolt11 first.
-- name: StoreInvoice :exec
UPDATE charge SET bolt11 = @bolt11, add_index = @add_index, expires_at = @expires_at
WHERE id = @id AND bolt11 IS NULL;

-- PayCharges is the compare-and-swap to paid, from any status but paid: money
-- wins. was tells which wins are remarkable.
-- name: PayCharges :many
WITH due AS (
    SELECT c.id, c.status AS was, r.amt_paid_msat, r.settled_at, r.recorded_at
    FROM charge c JOIN receipt r ON r.node = c.node AND r.payment_hash = c.payment_hash
    WHERE c.id = ANY(@ids::text[]) AND c.status <> 'paid' AND c.bolt11 IS NOT NULL
        AND r.state = 'uncredited'
    ORDER BY c.id FOR UPDATE OF c
)
UPDATE charge c SET status = 'paid', amount_paid_msat = due.amt_paid_msat,
    -- The node's clock has whole seconds and may be behind.
    paid_at = greatest(due.settled_at, c.created_at), closed_at = now(), next_check_at = NULL
FROM due WHERE c.id = due.id AND c.status <> 'paid'
RETURNING sqlc.embed(c), due.was,
    extract(epoch FROM clock_timestamp() - due.recorded_at)::float8 AS recorded_s_ago,
    extract(epoch FROM clock_timestamp() - due.settled_at)::float8 AS settled_s_ago,
    -- Who waits for the charge is woken when the transaction commits.
    (pg_notify('lntpay_change', c.id) IS NULL)::boolean AS notified;

-- CloseCharge ends a pending charge whose invoice the node has canceled. Only
-- one that is not being settled by a book transfer, and expired only once its
-- time is over by Postgres' clock.
-- name: CloseCharge :one
UPDATE charge SET status = @status, closed_at = now(), next_check_at = NULL
WHERE id = @id AND status = 'pending' AND settling_by IS NULL
    AND (@status::text = 'canceled' OR expires_at <= now() OR @node_canceled::boolean)
RETURNING *;

-- name: NotifyCharges :exec
SELECT pg_notify('lntpay_change', id) FROM unnest(@ids::text[]) AS id;

-- Charges whose run should have come back by now. Bumping next_check_at keeps
-- a stuck one from hiding the others behind the limit.
-- name: SweepCharges :many
UPDATE charge SET next_check_at = now()
WHERE id IN (
    SELECT c.id FROM charge c WHERE c.next_check_at < now() - interval '60 seconds'
    ORDER BY c.next_check_at LIMIT @max_rows FOR UPDATE SKIP LOCKED
)
RETURNING id, workspace_id, amount_msat;

-- name: OldestOpenAddIndex :one
SELECT coalesce(min(add_index), 0)::bigint AS add_index FROM charge
WHERE node = @node AND status IN ('creating', 'pending') AND add_index IS NOT NULL;

-- name: ClaimExists :one
SELECT EXISTS (SELECT FROM claim WHERE resource_id = @resource_id);
