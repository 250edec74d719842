-- The L402 tokens of charges: see api/l402.go.

-- name: RevokeL402 :execrows
UPDATE charge SET l402_revoked_at = coalesce(l402_revoked_at, now())
WHERE id = @id AND workspace_id = @workspace_id AND status <> 'creating' AND l402_resource IS NOT NULL;

-- name: L402Revoked :one
SELECT EXISTS (SELECT FROM charge
    WHERE id = @id AND workspace_id = @workspace_id AND l402_revoked_at IS NOT NULL)::boolean AS revoked;
