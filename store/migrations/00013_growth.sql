-- +goose Up

-- What a workspace with a million charges asks for, without reading them.

-- Charges by status: few of many.
CREATE INDEX charge_status ON charge (workspace_id, status, id DESC) WHERE status <> 'creating';

-- Transfers by kind. Most are of charges, which are found without an index.
CREATE INDEX transfer_kind ON transfer (workspace_id, kind, sequence DESC) WHERE kind <> 'charge_settled';

-- What became of the charges that were created in an hour (UTC), for usage. A
-- trigger counts, whatever changes a charge, so that processes of the version
-- before count as well. shard keeps connections from waiting for each other: the
-- sum over all of them is the count, and one alone may be below zero.
CREATE TABLE charge_usage_hour (
    workspace_id     text COLLATE "C" NOT NULL,
    hour             timestamptz NOT NULL,
    shard            smallint NOT NULL,
    created          bigint NOT NULL,
    paid             bigint NOT NULL,
    expired          bigint NOT NULL,
    canceled         bigint NOT NULL,
    amount_msat      bigint NOT NULL,
    amount_paid_msat bigint NOT NULL,
    PRIMARY KEY (workspace_id, hour, shard)
) WITH (fillfactor = 50);

-- Rows are locked in ascending order, after the charges' and before the
-- balances'. As its owner: the runtime role is granted the table afterwards.
-- +goose StatementBegin
CREATE FUNCTION count_changed_charges() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO charge_usage_hour AS u
    SELECT c.workspace_id, date_trunc('hour', c.created_at, 'UTC'), pg_backend_pid() % 4, sum(c.sign),
        coalesce(sum(c.sign) FILTER (WHERE c.status = 'paid'), 0),
        coalesce(sum(c.sign) FILTER (WHERE c.status = 'expired'), 0),
        coalesce(sum(c.sign) FILTER (WHERE c.status = 'canceled'), 0),
        sum(c.sign * c.amount_msat), sum(c.sign * c.amount_paid_msat)
    FROM (
        SELECT workspace_id, created_at, status, amount_msat, amount_paid_msat, 1 AS sign FROM new_row WHERE status <> 'creating'
        UNION ALL
        SELECT workspace_id, created_at, status, amount_msat, amount_paid_msat, -1 FROM old_row WHERE status <> 'creating'
    ) c
    GROUP BY 1, 2
    HAVING sum(c.sign) <> 0 OR sum(c.sign * c.amount_msat) <> 0 OR sum(c.sign * c.amount_paid_msat) <> 0
        OR coalesce(sum(c.sign) FILTER (WHERE c.status = 'expired'), 0) <> 0
        OR coalesce(sum(c.sign) FILTER (WHERE c.status = 'canceled'), 0) <> 0
    ORDER BY 1, 2
    ON CONFLICT (workspace_id, hour, shard) DO UPDATE SET created = u.created + EXCLUDED.created, paid = u.paid + EXCLUDED.paid,
        expired = u.expired + EXCLUDED.expired, canceled = u.canceled + EXCLUDED.canceled,
        amount_msat = u.amount_msat + EXCLUDED.amount_msat, amount_paid_msat = u.amount_paid_msat + EXCLUDED.amount_paid_msat;
    RETURN NULL;
END $$;

-- A charge is inserted as creating, which is not counted; others only where
-- rows are copied from elsewhere.
CREATE FUNCTION count_inserted_charge() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO charge_usage_hour AS u
    VALUES (NEW.workspace_id, date_trunc('hour', NEW.created_at, 'UTC'), pg_backend_pid() % 4, 1, (NEW.status = 'paid')::int,
        (NEW.status = 'expired')::int, (NEW.status = 'canceled')::int, NEW.amount_msat, NEW.amount_paid_msat)
    ON CONFLICT (workspace_id, hour, shard) DO UPDATE SET created = u.created + EXCLUDED.created, paid = u.paid + EXCLUDED.paid,
        expired = u.expired + EXCLUDED.expired, canceled = u.canceled + EXCLUDED.canceled,
        amount_msat = u.amount_msat + EXCLUDED.amount_msat, amount_paid_msat = u.amount_paid_msat + EXCLUDED.amount_paid_msat;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER charge_changed AFTER UPDATE ON charge REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row
    FOR EACH STATEMENT EXECUTE FUNCTION count_changed_charges();
CREATE TRIGGER charge_inserted AFTER INSERT ON charge
    FOR EACH ROW WHEN (NEW.status <> 'creating') EXECUTE FUNCTION count_inserted_charge();

-- The triggers hold the table until the end: nothing changes between.
INSERT INTO charge_usage_hour
SELECT workspace_id, date_trunc('hour', created_at, 'UTC'), 0, count(*), count(*) FILTER (WHERE status = 'paid'),
    count(*) FILTER (WHERE status = 'expired'), count(*) FILTER (WHERE status = 'canceled'), sum(amount_msat), sum(amount_paid_msat)
FROM charge WHERE status <> 'creating' GROUP BY 1, 2;
