-- What operators do and look at by `lntpay ops`.

-- name: AddOperatorAction :one
INSERT INTO operator_action (actor, action, target, reason, detail)
VALUES (@actor, @action, @target, @reason, @detail)
RETURNING *;

-- name: LockFreeze :one
SELECT * FROM payout_freeze WHERE scope = @scope FOR UPDATE;

-- Callers have closed the payout gate (ClosePayoutGate), or a send may still be
-- licensed after this commits.
-- name: FreezePayouts :exec
INSERT INTO payout_freeze (scope, frozen, reason, actor) VALUES (@scope, true, @reason, @actor)
ON CONFLICT (scope) DO UPDATE SET frozen = true, reason = excluded.reason, actor = excluded.actor, changed_at = now();

-- name: ThawPayouts :execrows
UPDATE payout_freeze SET frozen = false, reason = @reason, actor = @actor, changed_at = now()
WHERE scope = @scope AND frozen;

-- name: ListFreezes :many
SELECT * FROM payout_freeze WHERE frozen ORDER BY scope;

-- RequestNodeThaw asks the node's sweeper to end its regression; no row when
-- there is none to end.
-- name: RequestNodeThaw :execrows
UPDATE node SET thaw_requested_at = now() WHERE name = @name AND regressed_at IS NOT NULL;

-- name: RegressedNodes :many
SELECT name, regressed_at, thaw_requested_at FROM node WHERE regressed_at IS NOT NULL ORDER BY name;

-- Withdrawals that a thaw of the scope lets go on, the oldest first. Those
-- under review wait for an operator, not for a thaw.
-- name: OpenWithdrawals :many
SELECT w.id, w.workspace_id, w.amount_msat FROM withdrawal w
WHERE w.status IN ('held', 'sending', 'following') AND w.review_reason IS NULL
    AND @scope::text IN ('all', 'node/' || w.node, w.workspace_id)
ORDER BY w.id LIMIT @max_rows;

-- LockWithdrawal holds a row as it is while a command for it is written.
-- name: LockWithdrawal :one
SELECT * FROM withdrawal WHERE id = @id FOR UPDATE;

-- No row means that a command for this withdrawal is not judged yet.
-- name: AddResolution :one
INSERT INTO withdrawal_resolution (withdrawal_id, action, actor, reason)
VALUES (@withdrawal_id, @action, @actor, @reason)
ON CONFLICT (withdrawal_id) WHERE outcome IS NULL DO NOTHING
RETURNING *;

-- A command and its withdrawal at one instant.
-- name: LookAtResolution :one
SELECT sqlc.embed(r), w.status, w.workspace_id, w.amount_msat
FROM withdrawal_resolution r JOIN withdrawal w ON w.id = r.withdrawal_id
WHERE r.id = @id;

-- name: ListResolutions :many
SELECT * FROM withdrawal_resolution WHERE withdrawal_id = @withdrawal_id ORDER BY id;

-- Withdrawals that an operator may want to look at: under review, or open for
-- long. Those under review first.
-- name: StuckWithdrawals :many
SELECT sqlc.embed(w), extract(epoch FROM now() - w.created_at)::bigint AS age_s,
    EXISTS (SELECT FROM withdrawal_resolution r WHERE r.withdrawal_id = w.id AND r.outcome IS NULL) AS to_resolve,
    coalesce(payouts_frozen(w.workspace_id, w.node), '')::text AS frozen
FROM withdrawal w
WHERE w.status IN ('held', 'sending', 'following')
    AND (w.review_reason IS NOT NULL OR w.created_at < now() - make_interval(secs => @older_s::float8))
ORDER BY w.review_reason IS NULL, w.id
LIMIT @max_rows;

-- name: WhyFrozen :one
SELECT coalesce(payouts_frozen(@workspace_id::text, @node::text), '')::text AS why;

-- By the event, of which a withdrawal has one at most.
-- name: CountWithdrawalDeliveries :one
SELECT count(*) AS deliveries, count(*) FILTER (WHERE d.status = 'pending') AS pending,
    count(*) FILTER (WHERE d.status = 'failed') AS failed
FROM event e JOIN delivery d ON d.event_id = e.id
WHERE e.resource_id = @withdrawal_id AND e.type LIKE 'withdrawal.%';

-- name: AllOpenStrays :many
SELECT * FROM stray_payment WHERE state = 'open' ORDER BY node, payment_index, created_ns LIMIT @max_rows;

-- All payments that were noted under an index: a node that went back in time
-- gives its indexes out again. repeated says that another of them is booked.
-- name: LockStrays :many
SELECT sqlc.embed(s), EXISTS (
    SELECT FROM stray_payment o WHERE o.node = s.node AND o.payment_index = s.payment_index AND o.state = 'booked'
) AS repeated
FROM stray_payment s
WHERE s.node = @node AND s.payment_index = @payment_index
    AND s.created_ns = coalesce(sqlc.narg(created_ns)::bigint, s.created_ns)
ORDER BY s.created_ns FOR UPDATE OF s;

-- The audit trail, the newest first, narrowed by what is given.
-- name: FindOperatorActions :many
SELECT * FROM operator_action
WHERE (sqlc.narg(before_id)::bigint IS NULL OR id < sqlc.narg(before_id))
    AND (sqlc.narg(since)::timestamptz IS NULL OR created_at >= sqlc.narg(since))
    AND (sqlc.narg(actor)::text IS NULL OR actor = sqlc.narg(actor))
    AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action))
ORDER BY id DESC LIMIT @max_rows;
