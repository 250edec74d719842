-- +goose Up

-- Hot tables carry no foreign key to workspace: each insert would lock the
-- workspace's row FOR KEY SHARE, and many at once make multixacts on it.
-- Ids are text under the "C" collation: they sort by time and compare by byte.

CREATE TABLE environment (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name     text NOT NULL CHECK (name IN ('sandbox', 'production'))
);

-- Fingerprints of the keys that preimages are derived from. A key that changed
-- under its id would make every open charge unpayable, so they are pinned.
CREATE TABLE preimage_key (
    id          text PRIMARY KEY,
    fingerprint bytea NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE node (
    name                 text PRIMARY KEY,
    pubkey               text NOT NULL UNIQUE,
    -- The settle index from which the subscription resumes: every receipt at
    -- or below it is surely written.
    settle_cursor        bigint NOT NULL DEFAULT 0,
    highest_add_index    bigint NOT NULL DEFAULT 0,
    highest_settle_index bigint NOT NULL DEFAULT 0,
    -- Set when the node's indexes were seen below the stored ones (restored
    -- from an older state): nothing is concluded from what it lacks.
    regressed_at         timestamptz,
    created_at           timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workspace (
    id         text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    id            text COLLATE "C" PRIMARY KEY,
    workspace_id  text COLLATE "C" NOT NULL REFERENCES workspace (id),
    name          text NOT NULL,
    scopes        text[] NOT NULL,
    secret_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(secret_sha256) = 32),
    last4         text NOT NULL,
    expires_at    timestamptz,
    revoked_at    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_key_workspace ON api_key (workspace_id, id DESC);

-- A claim is an idempotent POST: its key, its body and, once decided, its
-- answer. It is never deleted. Without an Idempotency-Key it exists all the
-- same, findable by the id of the resource only.
CREATE TABLE claim (
    resource_id   text COLLATE "C" PRIMARY KEY,
    workspace_id  text COLLATE "C" NOT NULL,
    path          text NOT NULL,
    key           text,
    body_sha256   bytea NOT NULL CHECK (octet_length(body_sha256) = 32),
    request       jsonb NOT NULL,
    -- Of the first attempt: a frozen refusal carries it.
    request_id    text NOT NULL,
    answer_status int,
    answer        bytea,
    created_at    timestamptz NOT NULL DEFAULT now(),
    answered_at   timestamptz,
    CHECK ((answer IS NULL) = (answer_status IS NULL)),
    CHECK ((answer IS NULL) = (answered_at IS NULL))
);
CREATE UNIQUE INDEX claim_key ON claim (workspace_id, path, key) WHERE key IS NOT NULL;

CREATE TABLE charge (
    id               text COLLATE "C" PRIMARY KEY,
    workspace_id     text COLLATE "C" NOT NULL,
    node             text NOT NULL,
    key_id           text NOT NULL,
    payment_hash     bytea NOT NULL UNIQUE CHECK (octet_length(payment_hash) = 32),
    status           text NOT NULL CHECK (status IN ('creating', 'pending', 'paid', 'expired', 'canceled')),
    amount_msat      bigint NOT NULL CHECK (amount_msat > 0),
    amount_paid_msat bigint NOT NULL DEFAULT 0 CHECK (amount_paid_msat >= 0),
    description      text,
    metadata         jsonb NOT NULL DEFAULT '{}',
    external_id      text,
    expires_in_s     int NOT NULL CHECK (expires_in_s > 0),
    bolt11           text,
    add_index        bigint,
    warnings         text[] NOT NULL DEFAULT '{}',
    -- The withdrawal that settles this charge by a book transfer.
    settling_by      text COLLATE "C",
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,
    paid_at          timestamptz,
    closed_at        timestamptz,
    next_check_at    timestamptz,
    CHECK (status = 'creating' OR (bolt11 IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    CHECK ((status = 'paid') = (amount_paid_msat > 0)),
    CHECK ((status IN ('creating', 'pending')) = (closed_at IS NULL)),
    -- creating is swept by nobody (a repeat resumes it), closed rows are done.
    CHECK ((status = 'pending') = (next_check_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX charge_list ON charge (workspace_id, id DESC) WHERE status <> 'creating';
CREATE INDEX charge_open ON charge (workspace_id, id DESC) INCLUDE (amount_msat) WHERE status = 'pending';
CREATE INDEX charge_external ON charge (workspace_id, external_id, id DESC) WHERE external_id IS NOT NULL;
CREATE INDEX charge_usage ON charge (workspace_id, created_at) WHERE status <> 'creating';
CREATE INDEX charge_next_check ON charge (next_check_at) WHERE next_check_at IS NOT NULL;
CREATE INDEX charge_oldest_open ON charge (node, add_index) WHERE status IN ('creating', 'pending');

-- What the node settled. The only key is the payment hash on a node.
CREATE TABLE receipt (
    node          text NOT NULL,
    payment_hash  bytea NOT NULL CHECK (octet_length(payment_hash) = 32),
    amt_paid_msat bigint NOT NULL CHECK (amt_paid_msat > 0),
    settle_index  bigint NOT NULL,
    settled_at    timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    -- Null when no charge has this hash: suspense.
    charge_id     text COLLATE "C",
    state         text NOT NULL CHECK (state IN ('uncredited', 'credited', 'suspense')),
    next_check_at timestamptz,
    PRIMARY KEY (node, payment_hash),
    CHECK (state = 'suspense' OR charge_id IS NOT NULL),
    CHECK ((state = 'uncredited') = (next_check_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX receipt_next_check ON receipt (next_check_at) WHERE next_check_at IS NOT NULL;
CREATE INDEX receipt_recorded ON receipt (node, recorded_at);

-- The last event sequence of a workspace; the row lock makes it gap-free.
CREATE TABLE event_sequence (
    workspace_id text COLLATE "C" PRIMARY KEY,
    last         bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- payload holds the exact bytes that are delivered and signed.
CREATE TABLE event (
    workspace_id text COLLATE "C" NOT NULL,
    sequence     bigint NOT NULL,
    id           text COLLATE "C" NOT NULL UNIQUE,
    type         text NOT NULL,
    resource_id  text COLLATE "C" NOT NULL,
    payload      bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, sequence)
);
-- Whatever the code does, a charge is paid, expired or canceled once.
CREATE UNIQUE INDEX event_once ON event (resource_id, type) WHERE type LIKE 'charge.%';

CREATE TABLE webhook_endpoint (
    id                        text COLLATE "C" PRIMARY KEY,
    workspace_id              text COLLATE "C" NOT NULL,
    url                       text NOT NULL,
    events                    text[] NOT NULL,
    description               text,
    status                    text NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled')),
    -- Sealed with the secrets key (AES-256-GCM); needed in clear to sign.
    secret_sealed             bytea NOT NULL,
    previous_secret_sealed    bytea,
    previous_secret_until     timestamptz,
    created_at                timestamptz NOT NULL DEFAULT now(),
    deleted_at                timestamptz
);
CREATE INDEX webhook_endpoint_workspace ON webhook_endpoint (workspace_id, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE delivery (
    id              text COLLATE "C" PRIMARY KEY,
    workspace_id    text COLLATE "C" NOT NULL,
    event_id        text COLLATE "C" NOT NULL,
    endpoint_id     text COLLATE "C" NOT NULL,
    resource_id     text COLLATE "C" NOT NULL,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    next_check_at   timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    completed_at    timestamptz,
    CHECK ((status = 'pending') = (completed_at IS NULL)),
    CHECK ((status = 'pending') = (next_check_at IS NOT NULL)),
    UNIQUE (event_id, endpoint_id)
) WITH (fillfactor = 80);
CREATE INDEX delivery_list ON delivery (workspace_id, id DESC);
CREATE INDEX delivery_open ON delivery (resource_id) WHERE status = 'pending';
CREATE INDEX delivery_next_check ON delivery (next_check_at) WHERE next_check_at IS NOT NULL;

CREATE TABLE delivery_attempt (
    delivery_id text COLLATE "C" NOT NULL REFERENCES delivery (id),
    number      int NOT NULL CHECK (number > 0),
    at          timestamptz NOT NULL,
    status_code int,
    duration_ms bigint NOT NULL,
    error       text,
    response    bytea NOT NULL DEFAULT '',
    PRIMARY KEY (delivery_id, number)
);
