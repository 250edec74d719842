-- +goose Up

CREATE TABLE withdrawal (
    id                 text COLLATE "C" PRIMARY KEY,
    workspace_id       text COLLATE "C" NOT NULL,
    node               text NOT NULL,
    kind               text NOT NULL CHECK (kind IN ('lightning', 'book')),
    status             text NOT NULL CHECK (status IN ('held', 'sending', 'following', 'succeeded', 'failed')),
    -- Why an operator must look; while it is set nothing is sent, posted or
    -- voided by itself.
    review_reason      text,
    payment_hash       bytea NOT NULL CHECK (octet_length(payment_hash) = 32),
    destination        text NOT NULL,
    bolt11             text NOT NULL,
    amountless         boolean NOT NULL,
    -- The charge that a book transfer settles.
    charge_id          text COLLATE "C",
    amount_msat        bigint NOT NULL CHECK (amount_msat > 0),
    max_fee_msat       bigint NOT NULL CHECK (max_fee_msat >= 0),
    fee_msat           bigint NOT NULL DEFAULT 0 CHECK (fee_msat >= 0),
    preimage           bytea CHECK (octet_length(preimage) = 32),
    failure_code       text,
    description        text,
    metadata           jsonb NOT NULL DEFAULT '{}',
    external_id        text,
    invoice_expires_at timestamptz NOT NULL,
    -- The number of its send rows, and when the first was added.
    sends              int NOT NULL DEFAULT 0,
    sent_at            timestamptz,
    -- What the node was last seen to say of our payment.
    payment_index      bigint,
    htlc_attempts      int NOT NULL DEFAULT 0,
    htlc_expiry_height bigint NOT NULL DEFAULT 0,
    checked_at         timestamptz,
    -- In flight without any HTLC since.
    no_htlcs_since     timestamptz,
    -- The first of two equal readings that a void or a resend rests on.
    finding            text,
    finding_at         timestamptz,
    finding_sends      int,
    created_at         timestamptz NOT NULL DEFAULT now(),
    completed_at       timestamptz,
    next_check_at      timestamptz,
    CHECK ((status IN ('succeeded', 'failed')) = (completed_at IS NOT NULL)),
    CHECK ((status = 'succeeded') = (preimage IS NOT NULL)),
    CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CHECK (fee_msat <= max_fee_msat),
    CHECK ((kind = 'book') = (charge_id IS NOT NULL)),
    CHECK (kind = 'lightning' OR status IN ('held', 'succeeded', 'failed')),
    CHECK ((sends = 0) = (sent_at IS NULL)),
    CHECK (status NOT IN ('sending', 'following') OR sends > 0),
    CHECK ((finding IS NULL) = (finding_at IS NULL)),
    CHECK (status NOT IN ('succeeded', 'failed') OR (review_reason IS NULL AND next_check_at IS NULL)),
    CHECK (status IN ('succeeded', 'failed') OR (review_reason IS NULL) = (next_check_at IS NOT NULL))
) WITH (fillfactor = 80);
-- A payment hash is paid by one withdrawal, of whatever workspace and node.
CREATE UNIQUE INDEX withdrawal_hash ON withdrawal (payment_hash) WHERE status <> 'failed';
CREATE INDEX withdrawal_hash_failed ON withdrawal (payment_hash, id DESC) WHERE status = 'failed';
CREATE INDEX withdrawal_list ON withdrawal (workspace_id, id DESC);
CREATE INDEX withdrawal_external ON withdrawal (workspace_id, external_id, id DESC) WHERE external_id IS NOT NULL;
CREATE INDEX withdrawal_open ON withdrawal (workspace_id) INCLUDE (amount_msat, max_fee_msat)
    WHERE status IN ('held', 'sending', 'following');
CREATE INDEX withdrawal_next_check ON withdrawal (next_check_at) WHERE next_check_at IS NOT NULL;
-- For the volume of the last 24 hours.
CREATE INDEX withdrawal_workspace_volume ON withdrawal (workspace_id, created_at) INCLUDE (amount_msat)
    WHERE status <> 'failed';
CREATE INDEX withdrawal_node_volume ON withdrawal (node, created_at) INCLUDE (amount_msat)
    WHERE status <> 'failed' AND kind = 'lightning';

-- A send row is a licence for one SendPayment, taken by whoever inserts it.
-- After its deadline nobody calls any more.
CREATE TABLE withdrawal_send (
    withdrawal_id           text COLLATE "C" NOT NULL REFERENCES withdrawal (id),
    number                  int NOT NULL CHECK (number > 0),
    started_at              timestamptz NOT NULL DEFAULT now(),
    deadline                timestamptz NOT NULL,
    -- The record of this hash that the node had before our first send; both
    -- null where it had none. Any other pair is ours.
    predecessor_index       bigint,
    predecessor_created_ns  bigint,
    ended_at                timestamptz,
    -- The answer in a word: succeeded, failed, in_flight, exists, refused,
    -- unknown.
    outcome                 text,
    PRIMARY KEY (withdrawal_id, number),
    CHECK ((predecessor_index IS NULL) = (predecessor_created_ns IS NULL))
);

-- Payments of a node that no live withdrawal explains: made after the void of
-- the withdrawal of the same hash, or by somebody else with the node's keys.
CREATE TABLE stray_payment (
    node          text NOT NULL,
    payment_index bigint NOT NULL,
    created_ns    bigint NOT NULL,
    payment_hash  bytea NOT NULL CHECK (octet_length(payment_hash) = 32),
    -- The last voided withdrawal of this hash; null where there is none.
    withdrawal_id text COLLATE "C",
    status        text NOT NULL CHECK (status IN ('in_flight', 'succeeded', 'failed')),
    amount_msat   bigint NOT NULL,
    fee_msat      bigint NOT NULL,
    -- open freezes the node's payouts where no withdrawal explains it; booked
    -- is in the ledger as a loss; owner was marked as the node owner's own;
    -- failed moved nothing.
    state         text NOT NULL CHECK (state IN ('open', 'booked', 'owner', 'failed')),
    seen_at       timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,
    PRIMARY KEY (node, payment_index, created_ns)
);
CREATE INDEX stray_payment_hash ON stray_payment (payment_hash);
CREATE INDEX stray_payment_open ON stray_payment (node) WHERE state = 'open';

-- Payouts stop where a frozen row names the workspace, the node or all ("all",
-- "node/NAME" or a workspace's id). Receipts go on.
CREATE TABLE payout_freeze (
    scope      text COLLATE "C" PRIMARY KEY,
    frozen     boolean NOT NULL,
    reason     text NOT NULL,
    actor      text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- What an operator wants done to a withdrawal, and what came of it.
CREATE TABLE withdrawal_resolution (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    withdrawal_id text COLLATE "C" NOT NULL,
    action        text NOT NULL CHECK (action IN ('post', 'void', 'retry')),
    actor         text NOT NULL CHECK (actor <> ''),
    reason        text NOT NULL CHECK (reason <> ''),
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- Null while the worker has not judged it yet.
    outcome       text CHECK (outcome IN ('applied', 'refused')),
    detail        text,
    judged_at     timestamptz,
    CHECK ((outcome IS NULL) = (judged_at IS NULL))
);
CREATE UNIQUE INDEX withdrawal_resolution_open ON withdrawal_resolution (withdrawal_id) WHERE outcome IS NULL;

-- Everything that operators did. Rows are added and never changed.
CREATE TABLE operator_action (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor      text NOT NULL CHECK (actor <> ''),
    action     text NOT NULL CHECK (action <> ''),
    target     text NOT NULL,
    reason     text NOT NULL CHECK (reason <> ''),
    detail     jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
-- +goose StatementBegin
CREATE FUNCTION operator_action_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is immutable'
        USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER operator_action_immutable BEFORE UPDATE OR DELETE ON operator_action
    FOR EACH ROW EXECUTE FUNCTION operator_action_is_immutable();
CREATE TRIGGER operator_action_no_truncate BEFORE TRUNCATE ON operator_action
    FOR EACH STATEMENT EXECUTE FUNCTION operator_action_is_immutable();

ALTER TABLE node
    ADD COLUMN network text,
    -- The highest payment index that the node was seen to have.
    ADD COLUMN highest_payment_index bigint NOT NULL DEFAULT 0,
    -- Up to here every payment of the node is explained by a row; null until
    -- the node is first read: what it paid before it was ours is its owner's.
    ADD COLUMN payments_explained_to bigint,
    -- Where the node stood when it became ours.
    ADD COLUMN payments_ours_from bigint,
    -- Set by an operator: the next look at the node ends its regression.
    ADD COLUMN thaw_requested_at timestamptz;

-- Why payouts of a workspace from a node are stopped; null where they are not.
-- A payment that nothing explains may be somebody else's with the node's keys.
-- In plpgsql, which keeps its plans; a function in SQL is planned at each call.
-- +goose StatementBegin
CREATE FUNCTION payouts_frozen(workspace text, node_name text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    why text;
BEGIN
    SELECT 'frozen ' || f.scope INTO why FROM payout_freeze f
        WHERE f.frozen AND f.scope IN ('all', 'node/' || node_name, workspace) LIMIT 1;
    IF why IS NULL THEN
        SELECT 'regressed' INTO why FROM node n WHERE n.name = node_name AND n.regressed_at IS NOT NULL;
    END IF;
    IF why IS NULL THEN
        SELECT 'unexplained payment' INTO why FROM stray_payment s
            WHERE s.node = node_name AND s.state = 'open' AND s.withdrawal_id IS NULL LIMIT 1;
    END IF;
    RETURN why;
END $$;
-- +goose StatementEnd

-- Post and void exclude each other, whatever the code does.
CREATE UNIQUE INDEX transfer_withdrawal_end ON transfer (ref)
    WHERE kind IN ('withdrawal_post', 'withdrawal_void', 'withdrawal_book');

-- Whatever the code does, a withdrawal succeeds or fails once.
CREATE UNIQUE INDEX event_withdrawal_once ON event (resource_id) WHERE type LIKE 'withdrawal.%';
