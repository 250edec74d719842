-- +goose Up

-- The hash chain over transfers: blocks per workspace, and heads over the
-- blocks and the audit trail of the environment. Sealed by the sweeper behind
-- the writers, whom it never locks. docs/audit.md says what is hashed.
CREATE TABLE ledger_block (
    workspace_id   text COLLATE "C" NOT NULL,
    -- Gap-free per workspace, from 1.
    number         bigint NOT NULL CHECK (number > 0),
    first_sequence bigint NOT NULL CHECK (first_sequence > 0),
    last_sequence  bigint NOT NULL,
    previous       bytea NOT NULL CHECK (octet_length(previous) = 32),
    hash           bytea NOT NULL CHECK (octet_length(hash) = 32),
    -- The head that commits to it.
    head           bigint NOT NULL,
    sealed_at      timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, number),
    CHECK (last_sequence >= first_sequence)
);
CREATE INDEX ledger_block_head ON ledger_block (head, workspace_id, number);

CREATE TABLE ledger_head (
    -- Gap-free, from 1.
    number    bigint PRIMARY KEY CHECK (number > 0),
    -- What it commits to: so many blocks and rows of the audit trail.
    blocks    bigint NOT NULL CHECK (blocks >= 0),
    actions   bigint NOT NULL CHECK (actions >= 0),
    previous  bytea NOT NULL CHECK (octet_length(previous) = 32),
    hash      bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    sealed_at timestamptz NOT NULL,
    CHECK (blocks + actions > 0)
);

-- Which head commits to a row of the audit trail. Not by ranges of ids: an id
-- is taken before its transaction commits, so a lower one may come later.
CREATE TABLE operator_action_seal (
    action_id bigint PRIMARY KEY,
    head      bigint NOT NULL
);
CREATE INDEX operator_action_seal_head ON operator_action_seal (head, action_id);

-- +goose StatementBegin
CREATE FUNCTION chain_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the hash chain is immutable'
        USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_block_immutable BEFORE UPDATE OR DELETE ON ledger_block
    FOR EACH ROW EXECUTE FUNCTION chain_is_immutable();
CREATE TRIGGER ledger_block_no_truncate BEFORE TRUNCATE ON ledger_block
    FOR EACH STATEMENT EXECUTE FUNCTION chain_is_immutable();
CREATE TRIGGER ledger_head_immutable BEFORE UPDATE OR DELETE ON ledger_head
    FOR EACH ROW EXECUTE FUNCTION chain_is_immutable();
CREATE TRIGGER ledger_head_no_truncate BEFORE TRUNCATE ON ledger_head
    FOR EACH STATEMENT EXECUTE FUNCTION chain_is_immutable();
CREATE TRIGGER operator_action_seal_immutable BEFORE UPDATE OR DELETE ON operator_action_seal
    FOR EACH ROW EXECUTE FUNCTION chain_is_immutable();
CREATE TRIGGER operator_action_seal_no_truncate BEFORE TRUNCATE ON operator_action_seal
    FOR EACH STATEMENT EXECUTE FUNCTION chain_is_immutable();

-- What an operator says of a receipt in suspense: assigned is in the books of
-- a workspace, owner is the node owner's own money. The constraints allow more
-- than those before, so the rows that are there need not be read again.
ALTER TABLE receipt ADD COLUMN assigned_to text COLLATE "C";
ALTER TABLE receipt DROP CONSTRAINT receipt_state_check, DROP CONSTRAINT receipt_check;
ALTER TABLE receipt
    ADD CONSTRAINT receipt_state_check
        CHECK (state IN ('uncredited', 'credited', 'suspense', 'assigned', 'owner')) NOT VALID,
    ADD CONSTRAINT receipt_check
        CHECK (state IN ('suspense', 'assigned', 'owner') OR charge_id IS NOT NULL) NOT VALID,
    ADD CONSTRAINT receipt_assigned CHECK ((state = 'assigned') = (assigned_to IS NOT NULL)) NOT VALID;
CREATE INDEX receipt_suspense ON receipt (recorded_at) WHERE state = 'suspense';

-- The audit trail by who.
CREATE INDEX operator_action_actor ON operator_action (actor, id DESC);
