-- +goose Up

-- What is left of each rate that the api processes share. They take tokens out
-- in blocks (TakeTokens). Unlogged: after a crash of Postgres every bucket is
-- full again, and nothing else is lost.
CREATE UNLOGGED TABLE rate_bucket (
    id          text COLLATE "C" PRIMARY KEY,
    tokens      double precision NOT NULL CHECK (tokens >= 0),
    -- What the last take was given.
    granted     double precision NOT NULL CHECK (granted >= 0),
    refilled_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- What a bucket holds now: it gains per_second and is full at burst.
CREATE FUNCTION rate_tokens(tokens double precision, refilled_at timestamptz, per_second double precision, burst double precision)
RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT least(burst, tokens + per_second * greatest(0, extract(epoch FROM now() - refilled_at)::double precision))
$$;

-- How many of the wanted tokens a bucket can give now: whole ones.
CREATE FUNCTION rate_grant(tokens double precision, refilled_at timestamptz, per_second double precision,
    burst double precision, want double precision)
RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT least(want, floor(rate_tokens(tokens, refilled_at, per_second, burst)))
$$;

-- Limits of a workspace that differ from the settings, which are the default; a
-- value of 0 is no limit. Who set them and why is in operator_action.
CREATE TABLE workspace_limit (
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspace,
    -- The name of the setting within its environment.
    name         text COLLATE "C" NOT NULL CHECK (name IN (
        'limits.key_per_second', 'limits.key_burst', 'limits.workspace_per_second', 'limits.workspace_burst',
        'limits.withdrawals_per_second', 'limits.withdrawals_burst', 'limits.key_waits', 'limits.workspace_waits',
        'limits.open_charges',
        'payouts.max_amount_msat', 'payouts.workspace_daily_msat', 'payouts.workspace_open', 'payouts.workspace_open_msat'
    )),
    -- Null: the setting holds. (The runtime role deletes nothing.)
    value        bigint CHECK (value >= 0),
    PRIMARY KEY (workspace_id, name)
);
