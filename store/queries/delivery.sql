-- LoadDelivery reads all that one attempt needs. Postgres' clock says when the
-- attempt is due and whether a rotated secret still signs. The first attempt is due
-- at once, also where the clock has been set back since: nothing put it off.
-- name: LoadDelivery :one
SELECT d.status, d.attempts, d.event_id, d.endpoint_id, d.workspace_id,
    extract(epoch FROM now() - e.created_at)::float8 AS event_age_s,
    CASE WHEN d.attempts = 0 AND d.next_attempt_at = d.created_at THEN 0
        ELSE coalesce(greatest(extract(epoch FROM d.next_attempt_at - now()), 0), 0) END::float8 AS due_in_s,
    e.payload, w.url, w.secret_sealed,
    (w.status = 'enabled' AND w.deleted_at IS NULL)::boolean AS endpoint_open,
    coalesce(CASE WHEN w.previous_secret_until > now() THEN w.previous_secret_sealed END, '')::bytea AS previous_secret_sealed
FROM delivery d
JOIN event e ON e.id = d.event_id
JOIN webhook_endpoint w ON w.id = d.endpoint_id
WHERE d.id = @id;

-- RecordDeliverySuccess wins over whatever another attempt recorded meanwhile,
-- except a success: the receiver has the event. It ends the endpoint's streak
-- of failures.
-- name: RecordDeliverySuccess :execrows
WITH d AS (
    UPDATE delivery SET status = 'succeeded', attempts = attempts + 1,
        next_attempt_at = NULL, next_check_at = NULL, completed_at = now()
    WHERE delivery.id = @id AND status <> 'succeeded'
    RETURNING delivery.id, attempts, endpoint_id
), healthy AS (
    UPDATE webhook_endpoint SET failing_since = NULL
    WHERE webhook_endpoint.id = (SELECT endpoint_id FROM d) AND failing_since IS NOT NULL
)
INSERT INTO delivery_attempt (delivery_id, number, at, status_code, duration_ms, response)
SELECT d.id, d.attempts, now() - sqlc.arg(duration_ms)::bigint * interval '1 millisecond', @status_code::int, sqlc.arg(duration_ms)::bigint, @response::bytea
FROM d;

-- RecordDeliveryFailure records a failed attempt if none was recorded since the
-- row was judged, starts the endpoint's streak of failures, and either sets the
-- next attempt or, when final, fails the delivery.
-- name: RecordDeliveryFailure :execrows
WITH d AS (
    UPDATE delivery SET attempts = attempts + 1,
        status = CASE WHEN @final::boolean THEN 'failed' ELSE 'pending' END,
        next_attempt_at = CASE WHEN NOT @final THEN now() + sqlc.arg(next_in_ms)::bigint * interval '1 millisecond' END,
        next_check_at = CASE WHEN NOT @final THEN now() + sqlc.arg(next_in_ms)::bigint * interval '1 millisecond' + interval '60 seconds' END,
        completed_at = CASE WHEN @final THEN now() END
    WHERE delivery.id = @id AND status = 'pending' AND attempts = @attempts
    RETURNING delivery.id, attempts, endpoint_id
), failing AS (
    UPDATE webhook_endpoint SET failing_since = now()
    WHERE webhook_endpoint.id = (SELECT endpoint_id FROM d) AND failing_since IS NULL AND status = 'enabled'
)
INSERT INTO delivery_attempt (delivery_id, number, at, status_code, duration_ms, error, response)
SELECT d.id, d.attempts, now() - sqlc.arg(duration_ms)::bigint * interval '1 millisecond', sqlc.narg(status_code)::int, sqlc.arg(duration_ms)::bigint, @error::text, @response::bytea
FROM d;

-- PutOffDelivery sets another time for the next attempt, without one.
-- name: PutOffDelivery :execrows
UPDATE delivery SET next_attempt_at = now() + sqlc.arg(next_in_ms)::bigint * interval '1 millisecond',
    next_check_at = now() + sqlc.arg(next_in_ms)::bigint * interval '1 millisecond' + interval '60 seconds'
WHERE id = @id AND status = 'pending' AND attempts = @attempts;

-- FailDelivery ends a delivery without an attempt: its endpoint is deleted or
-- disabled.
-- name: FailDelivery :execrows
UPDATE delivery SET status = 'failed', next_attempt_at = NULL, next_check_at = NULL, completed_at = now()
WHERE id = @id AND status = 'pending' AND attempts = @attempts;

-- CancelDelivery ends a delivery at an operator's wish.
-- name: CancelDelivery :execrows
UPDATE delivery SET status = 'failed', next_attempt_at = NULL, next_check_at = NULL, completed_at = now()
WHERE id = @id AND status = 'pending';

-- DisableFailingEndpoint disables an endpoint that is gone (410) or has failed
-- for five days, once: no row means that there was nothing to do. Forgetting
-- the streak gives an endpoint that is enabled again a fresh start.
-- name: DisableFailingEndpoint :one
UPDATE webhook_endpoint SET status = 'disabled', failing_since = NULL
WHERE id = @id AND status = 'enabled' AND deleted_at IS NULL
    AND (@gone::boolean OR failing_since <= now() - interval '5 days')
RETURNING *;

-- OverdueDeliveries are those that somebody should have come back to (rule R6).
-- Bumping next_check_at keeps stuck ones from hiding the others behind the
-- limit.
-- name: OverdueDeliveries :many
UPDATE delivery SET next_check_at = now()
WHERE id IN (
    SELECT d.id FROM delivery d WHERE d.next_check_at < now() - interval '60 seconds'
    ORDER BY d.next_check_at LIMIT @max_rows FOR UPDATE SKIP LOCKED
)
RETURNING id;

-- MakeDeliveryDue is a redelivery: whatever became of it, the next attempt is
-- now. The schedule goes on from the attempts made; past its end there is one
-- attempt more. An endpoint that takes nothing gets nothing.
-- name: MakeDeliveryDue :one
UPDATE delivery SET status = 'pending', completed_at = NULL,
    next_attempt_at = now(), next_check_at = now() + interval '60 seconds'
WHERE delivery.id = @id AND delivery.workspace_id = @workspace_id AND endpoint_id IN (
    SELECT w.id FROM webhook_endpoint w
    WHERE w.workspace_id = @workspace_id AND w.status = 'enabled' AND w.deleted_at IS NULL
)
RETURNING *;

-- name: ReadDelivery :one
SELECT * FROM delivery WHERE id = @id AND workspace_id = @workspace_id;

-- ReadDeliveryPage is of all, or of those that succeeded, which are most.
-- name: ReadDeliveryPage :many
SELECT * FROM delivery
WHERE workspace_id = @workspace_id AND id < @before_id
    AND (cardinality(@statuses::text[]) = 0 OR status = ANY(@statuses::text[]))
ORDER BY id DESC LIMIT @max_rows;

-- name: ReadDeliveryPageUnfinished :many
SELECT * FROM delivery
WHERE workspace_id = @workspace_id AND id < @before_id
    AND status <> 'succeeded' AND status = ANY(@statuses::text[])
ORDER BY id DESC LIMIT @max_rows;

-- name: ReadDeliveryPageByEndpoint :many
SELECT * FROM delivery
WHERE endpoint_id = @endpoint_id AND workspace_id = @workspace_id AND id < @before_id
    AND (cardinality(@statuses::text[]) = 0 OR status = ANY(@statuses::text[]))
ORDER BY id DESC LIMIT @max_rows;

-- name: ReadDeliveryPageByEvent :many
SELECT * FROM delivery
WHERE event_id = @event_id AND workspace_id = @workspace_id AND id < @before_id
    AND (@endpoint_id::text = '' OR endpoint_id = @endpoint_id::text)
    AND (cardinality(@statuses::text[]) = 0 OR status = ANY(@statuses::text[]))
ORDER BY id DESC LIMIT @max_rows;

-- name: ReadDeliveryAttempts :many
SELECT * FROM delivery_attempt WHERE delivery_id = ANY(@delivery_ids::text[]) ORDER BY delivery_id, number;
