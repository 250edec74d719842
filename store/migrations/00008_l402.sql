-- +goose Up

-- A charge that an L402 token is sold by. The token itself is derived, not
-- stored; only that it was revoked must be remembered. The constraint is not
-- validated: the rows before it have neither, and reading them all under the
-- table's lock would stop a large deployment.
ALTER TABLE charge ADD COLUMN l402_resource text, ADD COLUMN l402_revoked_at timestamptz;
ALTER TABLE charge ADD CONSTRAINT charge_l402_revoked CHECK (l402_revoked_at IS NULL OR l402_resource IS NOT NULL) NOT VALID;
