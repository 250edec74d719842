-- AllocateEventSequences takes the next numbers of each workspace and keeps
-- the rows locked until the transaction ends: no gaps.
-- name: AllocateEventSequences :many
INSERT INTO event_sequence (workspace_id, last)
SELECT i.workspace_id, count(*) FROM unnest(@workspace_ids::text[]) AS i (workspace_id)
GROUP BY i.workspace_id ORDER BY i.workspace_id
ON CONFLICT (workspace_id) DO UPDATE SET last = event_sequence.last + EXCLUDED.last
RETURNING workspace_id, last, now()::timestamptz AS now;

-- InsertEvents also wakes the streams of the workspaces, once each, when the
-- transaction commits.
-- name: InsertEvents :exec
WITH written AS (
    INSERT INTO event (id, workspace_id, sequence, type, resource_id, payload)
    SELECT unnest(@ids::text[]), unnest(@workspace_ids::text[]), unnest(@sequences::bigint[]),
        unnest(@types::text[]), unnest(@resource_ids::text[]), unnest(@payloads::bytea[])
    RETURNING workspace_id
)
SELECT pg_notify('lntpay_change', w.workspace_id) FROM (SELECT DISTINCT workspace_id FROM written) w;

-- name: EnabledEndpoints :many
SELECT id, workspace_id, events FROM webhook_endpoint
WHERE workspace_id = ANY(@workspace_ids::text[]) AND status = 'enabled' AND deleted_at IS NULL;

-- name: InsertDeliveries :exec
INSERT INTO delivery (id, workspace_id, event_id, endpoint_id, resource_id, next_attempt_at, next_check_at)
SELECT unnest(@ids::text[]), unnest(@workspace_ids::text[]), unnest(@event_ids::text[]),
    unnest(@endpoint_ids::text[]), unnest(@resource_ids::text[]), now(), now() + interval '60 seconds';

-- Deliveries of a resource that nobody has tried yet.
-- name: UntriedDeliveries :many
SELECT id FROM delivery WHERE resource_id = @resource_id AND status = 'pending' AND attempts = 0 ORDER BY id;

-- name: ReadEvent :one
SELECT payload FROM event WHERE id = @id AND workspace_id = @workspace_id;

-- name: ReadEventPage :many
SELECT sequence, payload FROM event
WHERE workspace_id = @workspace_id AND sequence < @before_sequence
ORDER BY sequence DESC LIMIT @max_rows;

-- name: ReadEventPageByType :many
SELECT sequence, payload FROM event
WHERE workspace_id = @workspace_id AND type = @type AND sequence < @before_sequence
ORDER BY sequence DESC LIMIT @max_rows;

-- EventsAfter are the next in order: a transaction that holds a lower number
-- has committed before, because it held the workspace's sequence row.
-- name: EventsAfter :many
SELECT sequence, id, type, payload FROM event
WHERE workspace_id = @workspace_id AND sequence > @after_sequence
ORDER BY sequence LIMIT @max_rows;

-- EventSequence is where a stream that was cut off goes on.
-- name: EventSequence :one
SELECT sequence FROM event WHERE id = @id AND workspace_id = @workspace_id;

-- LastEventSequence is the present, 0 before the first event.
-- name: LastEventSequence :one
SELECT coalesce(max(last), 0)::bigint FROM event_sequence WHERE workspace_id = @workspace_id;
