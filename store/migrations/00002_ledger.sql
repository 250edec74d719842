-- +goose Up

-- One row is one double entry: it debits one account and credits another, so
-- the books sum to zero by construction. Corrections are new transfers.
-- Accounts: 1 available, 2 locked (of the workspace); 10 lightning_clearing,
-- 11 internal_clearing, 12 routing_fee, 13 service_fee, 14 operator_loss,
-- 15 suspense (of the system).
CREATE TABLE transfer (
    workspace_id         text COLLATE "C" NOT NULL,
    -- Gap-free per workspace: the balance's version under its row lock.
    sequence             bigint NOT NULL CHECK (sequence > 0),
    id                   text COLLATE "C" NOT NULL,
    kind                 text NOT NULL,
    ref                  text COLLATE "C" NOT NULL,
    debit_account        smallint NOT NULL,
    credit_account       smallint NOT NULL,
    amount_msat          bigint NOT NULL CHECK (amount_msat > 0),
    available_after_msat bigint NOT NULL CHECK (available_after_msat >= 0),
    locked_after_msat    bigint NOT NULL CHECK (locked_after_msat >= 0),
    created_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, sequence),
    UNIQUE (kind, ref),
    CHECK (debit_account <> credit_account)
);
CREATE INDEX transfer_ref ON transfer (ref);

CREATE TABLE balance (
    workspace_id   text COLLATE "C" PRIMARY KEY,
    available_msat bigint NOT NULL DEFAULT 0 CHECK (available_msat >= 0),
    locked_msat    bigint NOT NULL DEFAULT 0 CHECK (locked_msat >= 0),
    version        bigint NOT NULL DEFAULT 0,
    updated_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- +goose StatementBegin
CREATE FUNCTION transfer_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'transfers are immutable: book a new one'
        USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER transfer_immutable BEFORE UPDATE OR DELETE ON transfer
    FOR EACH ROW EXECUTE FUNCTION transfer_is_immutable();
CREATE TRIGGER transfer_no_truncate BEFORE TRUNCATE ON transfer
    FOR EACH STATEMENT EXECUTE FUNCTION transfer_is_immutable();
