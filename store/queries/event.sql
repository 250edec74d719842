-- AllocateEventSequences takes the next numbers of each workspace and keeps
-- the rows locked until the transaction ends: no gaps.
-- name: AllocateEventSequences :many
INSERT INTO event_sequence (workspace_id, last)
SELECT i.workspace_id, count(*) FROM unnest(@workspace_ids::text[]) AS i (workspace_id)
GROUP BY i.workspace_id ORDER BY i.workspace_id
ON CONFLICT (workspace_id) DO UPDATE SET last = event_sequence.last + EXCLUDED.last
RETURNING workspace_id, last, now()::timestamptz AS now;

-- name: InsertEvents :exec
INSERT INTO event (id, workspace_id, sequence, type, resource_id, payload)
SELECT unnest(@ids::text[]), unnest(@workspace_ids::text[]), unnest(@sequences::bigint[]),
    unnest(@types::text[]), unnest(@resource_ids::text[]), unnest(@payloads::bytea[]);

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
