-- name: InsertSandboxInvoice :one
INSERT INTO sandbox_invoice (id, workspace_id, behaviour, amount_msat, key_id, payment_hash, bolt11)
VALUES (@id, @workspace_id, @behaviour, @amount_msat, @key_id, @payment_hash, @bolt11)
RETURNING *;

-- name: ReadSandboxInvoice :one
SELECT * FROM sandbox_invoice WHERE id = @id AND workspace_id = @workspace_id;

-- name: ReadSandboxClaim :one
-- The claim of a sandbox payment, once it was accepted.
SELECT workspace_id, request FROM claim WHERE resource_id = @resource_id AND answer_status = 202;
