-- +goose Up

-- Invoices of a sandbox's payer node, to withdraw to. What has become of one
-- only that node knows. The preimage derives from the key and the id.
CREATE TABLE sandbox_invoice (
    id           text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL,
    behaviour    text NOT NULL CHECK (behaviour IN ('settle', 'fail', 'hold')),
    amount_msat  bigint NOT NULL CHECK (amount_msat > 0),
    key_id       text NOT NULL,
    payment_hash bytea NOT NULL UNIQUE CHECK (octet_length(payment_hash) = 32),
    bolt11       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
