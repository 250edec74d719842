-- name: GetEnvironment :one
SELECT name FROM environment;

-- name: PinPreimageKey :exec
INSERT INTO preimage_key (id, fingerprint) VALUES (@id, @fingerprint)
ON CONFLICT (id) DO NOTHING;

-- name: GetPreimageKeys :many
SELECT id, fingerprint FROM preimage_key;

-- name: PinNode :exec
INSERT INTO node (name, pubkey, network) VALUES (@name, @pubkey, @network::text) ON CONFLICT DO NOTHING;

-- name: SetNodeNetwork :exec
UPDATE node SET network = @network::text WHERE name = @name AND network IS DISTINCT FROM @network::text;

-- name: GetNode :one
SELECT *, now()::timestamptz AS now FROM node WHERE name = @name;

-- DatabaseIncarnation changes when the server was restarted, or is another, or
-- when the database was replaced: what is there now may be older.
-- name: DatabaseIncarnation :one
SELECT (extract(epoch FROM pg_postmaster_start_time())::text || '/' || d.oid::text)::text AS incarnation
FROM pg_catalog.pg_database d WHERE d.datname = current_database();

-- The keys without which an opening could not be resumed.
-- name: OpenChargeKeys :many
SELECT DISTINCT key_id FROM charge WHERE status IN ('creating', 'pending');
