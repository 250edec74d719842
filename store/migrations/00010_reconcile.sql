-- +goose Up

-- What reconciliation found to be otherwise than it must be. A finding that is
-- seen no more is resolved; the same one later is a new row.
CREATE TABLE finding (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- I1 to I8, chain, or waits: what is late and breaks nothing yet.
    invariant    text NOT NULL CHECK (invariant IN ('I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'chain', 'waits')),
    kind         text NOT NULL,
    -- The id of the row that it is about.
    subject      text COLLATE "C" NOT NULL,
    -- Null where it is of no single workspace.
    workspace_id text COLLATE "C",
    -- The node that was compared; empty for what the books alone say.
    node         text NOT NULL DEFAULT '',
    detail       jsonb NOT NULL DEFAULT '{}',
    first_seen   timestamptz NOT NULL DEFAULT now(),
    last_seen    timestamptz NOT NULL DEFAULT now(),
    resolved_at  timestamptz,
    -- When payouts were frozen for it, or found frozen: once for each finding,
    -- so that an operator's thaw holds.
    acted_at     timestamptz
);
CREATE UNIQUE INDEX finding_open ON finding (kind, subject) WHERE resolved_at IS NULL;

-- How far reconciliation with a node has come, and what it last said.
CREATE TABLE reconciliation (
    node            text PRIMARY KEY,
    -- Invoices below this add index, and payments up to this index, were final
    -- when they were last compared: hours read from here, nights read all.
    invoices_from   bigint NOT NULL DEFAULT 0,
    payments_after  bigint NOT NULL DEFAULT 0,
    last_full_at    timestamptz,
    last_success_at timestamptz,
    -- Consecutive readings in which the node had less than is owed.
    short_readings  int NOT NULL DEFAULT 0,
    report          jsonb NOT NULL DEFAULT '{}'
);

-- The body of an event, null where it is no JSON: one bad row must not end the
-- check of all.
-- +goose StatementBegin
CREATE FUNCTION event_body(payload bytea) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN convert_from(payload, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
-- +goose StatementEnd
