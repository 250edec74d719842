-- name: ReadWithdrawal :one
SELECT * FROM withdrawal WHERE id = @id AND workspace_id = @workspace_id;

-- name: ReadWithdrawalPage :many
SELECT * FROM withdrawal
WHERE workspace_id = @workspace_id AND id < @before_id
  AND created_at > @created_after AND created_at < @created_before
ORDER BY id DESC LIMIT @max_rows;

-- Those that are not over are few, and have an index of their own.
-- name: ReadWithdrawalPageOpen :many
SELECT * FROM withdrawal
WHERE workspace_id = @workspace_id AND status IN ('held', 'sending', 'following')
  AND status = ANY(@statuses::text[]) AND id < @before_id
  AND created_at > @created_after AND created_at < @created_before
ORDER BY id DESC LIMIT @max_rows;

-- name: ReadWithdrawalPageByStatus :many
SELECT * FROM withdrawal
WHERE workspace_id = @workspace_id AND status = ANY(@statuses::text[]) AND id < @before_id
  AND created_at > @created_after AND created_at < @created_before
ORDER BY id DESC LIMIT @max_rows;

-- No statuses are all of them.
-- name: ReadWithdrawalPageByExternalID :many
SELECT * FROM withdrawal
WHERE workspace_id = @workspace_id AND external_id = @external_id::text AND id < @before_id
  AND (cardinality(@statuses::text[]) = 0 OR status = ANY(@statuses::text[]))
  AND created_at > @created_after AND created_at < @created_before
ORDER BY id DESC LIMIT @max_rows;

-- What a key was claimed for, whatever may be thought of the request today.
-- name: FindClaimedRequest :one
SELECT body_sha256, request FROM claim
WHERE workspace_id = @workspace_id AND path = @path AND key = @key::text;

-- The nodes that workers have pinned. One that no worker has run with since
-- networks are noted has none.
-- name: ReadNodes :many
SELECT pubkey, coalesce(network, '')::text AS network FROM node ORDER BY name;

-- CanBookInvoice says whether a charge could be paid from account to account
-- now: the conditions of the claim in the holding transaction.
-- name: CanBookInvoice :one
SELECT EXISTS (
    SELECT FROM charge WHERE payment_hash = @payment_hash AND bolt11 = @bolt11::text
      AND status = 'pending' AND settling_by IS NULL AND expires_at > now()
)::boolean;
