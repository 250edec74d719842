-- +goose Up

-- The lists of events and deliveries by what they can be narrowed to. Whatever
-- their number, most deliveries have succeeded: the index of the others is small.
CREATE INDEX event_type ON event (workspace_id, type, sequence DESC);
CREATE INDEX delivery_endpoint ON delivery (endpoint_id, id DESC);
CREATE INDEX delivery_unfinished ON delivery (workspace_id, id DESC) WHERE status <> 'succeeded';
