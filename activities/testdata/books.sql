-- Sound books of fixture.charges charges (50 of them make one withdrawal of our
-- own, by the book) and fixture.withdrawals withdrawals to others, in five
-- workspaces, as the product would have left them. The numbers in names say
-- which row is in which state.
CREATE FUNCTION pg_temp.ident(prefix text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT prefix || '_' || lpad(n::text, 26, '0') $$;

INSERT INTO node (name, pubkey, network, highest_add_index, highest_settle_index, highest_payment_index,
    payments_explained_to, payments_ours_from)
VALUES ('merchant', '02' || repeat('ab', 32), 'regtest', 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING;
INSERT INTO workspace (id, name) SELECT pg_temp.ident('ws', n), 'fixture ' || n FROM generate_series(0, 4) n;

CREATE TEMP TABLE c AS
SELECT n, pg_temp.ident('ch', n) AS id, pg_temp.ident('ws', n % 5) AS ws, sha256(convert_to('charge' || n, 'UTF8')) AS hash,
    CASE n % 20 WHEN 0 THEN 'expired' WHEN 1 THEN 'canceled' WHEN 2 THEN 'pending' ELSE 'paid' END AS status,
    n % 50 = 7 AS by_book, 1000 * (1 + n % 97) AS amount,
    1000 * (1 + n % 97) + CASE WHEN n % 33 = 0 AND n % 50 <> 7 THEN 5 ELSE 0 END AS amount_paid,
    now() - interval '2 days' + n * interval '1 second' AS at
FROM generate_series(1, current_setting('fixture.charges')::bigint) n;

CREATE TEMP TABLE w AS
SELECT n, pg_temp.ident('wd', n) AS id, pg_temp.ident('ws', n % 5) AS ws, sha256(convert_to('withdrawal' || n, 'UTF8')) AS hash,
    'lightning' AS kind, NULL::text AS charge_id,
    CASE WHEN n % 20 < 3 THEN 'failed' WHEN n % 20 = 3 THEN (ARRAY['held', 'sending', 'following'])[1 + n / 20 % 3] ELSE 'succeeded' END AS status,
    1000 + n % 700 AS amount, 1000 AS max_fee,
    -- The node's fee: one in 400 is above the limit.
    CASE WHEN n % 20 < 4 THEN 0 WHEN n % 400 = 5 THEN 1007 ELSE n % 7 * 10 END AS node_fee,
    now() - interval '1 day' + n * interval '1 second' AS at
FROM generate_series(1, current_setting('fixture.withdrawals')::bigint) n
UNION ALL
SELECT 1000000 + c.n, pg_temp.ident('wd', 1000000 + c.n), pg_temp.ident('ws', (c.n + 1 + c.n / 50 % 4) % 5), c.hash, 'book', c.id, 'succeeded',
    c.amount, 0, 0, now() - interval '12 hours' + c.n * interval '1 second'
FROM c WHERE c.by_book AND c.status = 'paid';

INSERT INTO charge (id, workspace_id, node, key_id, payment_hash, status, amount_msat, amount_paid_msat, expires_in_s, bolt11,
    add_index, settling_by, created_at, expires_at, paid_at, closed_at, next_check_at)
SELECT id, ws, 'merchant', 'key', hash, status, amount, CASE WHEN status = 'paid' THEN amount_paid ELSE 0 END, 3600, 'lnbcrt' || n, n,
    CASE WHEN by_book AND status = 'paid' THEN pg_temp.ident('wd', 1000000 + n) END, at,
    CASE WHEN status = 'pending' THEN now() + interval '1 hour' ELSE at + interval '1 hour' END,
    CASE WHEN status = 'paid' THEN at + interval '1 minute' END,
    CASE WHEN status <> 'pending' THEN at + interval '1 minute' END, CASE WHEN status = 'pending' THEN now() + interval '1 hour' END
FROM c;

INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, recorded_at, charge_id, state)
SELECT 'merchant', hash, amount_paid, n, at + interval '1 minute', at + interval '1 minute', id, 'credited'
FROM c WHERE status = 'paid' AND NOT by_book;
-- Invoices that somebody made by hand.
INSERT INTO receipt (node, payment_hash, amt_paid_msat, settle_index, settled_at, recorded_at, state)
SELECT 'merchant', sha256(convert_to('byhand' || n, 'UTF8')), 777, current_setting('fixture.charges')::bigint + n,
    now() - interval '1 day', now() - interval '1 day', 'suspense'
FROM generate_series(1, 5) n;

INSERT INTO withdrawal (id, workspace_id, node, kind, status, payment_hash, destination, bolt11, amountless, charge_id, amount_msat,
    max_fee_msat, fee_msat, preimage, failure_code, invoice_expires_at, sends, sent_at, created_at, completed_at, next_check_at)
SELECT id, ws, 'merchant', kind, status, hash, '03' || repeat('cd', 32), 'lnbcrt' || n, false, charge_id, amount, max_fee,
    CASE WHEN status = 'succeeded' THEN least(node_fee, max_fee) ELSE 0 END,
    CASE WHEN status = 'succeeded' THEN sha256(convert_to('preimage' || n, 'UTF8')) END,
    CASE WHEN status = 'failed' THEN 'no_route' END, at + interval '1 hour',
    CASE WHEN kind = 'lightning' AND status <> 'held' THEN 1 ELSE 0 END, CASE WHEN kind = 'lightning' AND status <> 'held' THEN at END,
    at, CASE WHEN status IN ('succeeded', 'failed') THEN at + interval '1 minute' END,
    CASE WHEN status NOT IN ('succeeded', 'failed') THEN now() + interval '1 hour' END
FROM w;

-- A payment that came back after the void of its withdrawal: the operator's.
INSERT INTO stray_payment (node, payment_index, created_ns, payment_hash, withdrawal_id, status, amount_msat, fee_msat, state, closed_at)
SELECT 'merchant', n, 1000 + n, hash, id, 'succeeded', amount, 3, 'booked', now() FROM w WHERE n = 21;

CREATE TEMP TABLE moved AS
SELECT ws, at, 1 AS step, 'charge_settled' AS kind, id AS ref, CASE WHEN by_book THEN 11 ELSE 10 END AS debit, 1 AS credit, amount_paid AS amount
FROM c WHERE status = 'paid' AND NOT by_book
UNION ALL SELECT ws, at, 1, 'withdrawal_lock', id, 1, 2, amount + max_fee FROM w
UNION ALL SELECT ws, at, 2, 'withdrawal_post', id, 2, 10, amount FROM w WHERE status = 'succeeded' AND kind = 'lightning'
UNION ALL SELECT ws, at, 3, 'withdrawal_fee', id, 2, 12, least(node_fee, max_fee) FROM w WHERE status = 'succeeded' AND node_fee > 0
UNION ALL SELECT ws, at, 4, 'withdrawal_release', id, 2, 1, max_fee - node_fee FROM w WHERE status = 'succeeded' AND max_fee > node_fee
UNION ALL SELECT ws, at, 5, 'operator_loss_fee', id, 14, 12, node_fee - max_fee FROM w WHERE status = 'succeeded' AND node_fee > max_fee
UNION ALL SELECT ws, at, 2, 'withdrawal_void', id, 2, 1, amount + max_fee FROM w WHERE status = 'failed'
UNION ALL SELECT ws, at, 3, 'operator_loss_payment', id || '/21/1021', 14, 10, amount + 3 FROM w WHERE n = 21
UNION ALL SELECT w.ws, w.at, 2, 'withdrawal_book', w.id, 2, 11, w.amount FROM w WHERE kind = 'book'
UNION ALL SELECT c.ws, w.at, 3, 'charge_settled', c.id, 11, 1, c.amount FROM w JOIN c ON c.id = w.charge_id;

INSERT INTO transfer (workspace_id, sequence, id, kind, ref, debit_account, credit_account, amount_msat, available_after_msat,
    locked_after_msat, created_at)
SELECT ws, row_number() OVER o, pg_temp.ident('tr', row_number() OVER (ORDER BY ws, at, ref, step)), kind, ref, debit, credit, amount,
    sum(CASE WHEN credit = 1 THEN amount WHEN debit = 1 THEN -amount ELSE 0 END) OVER o,
    sum(CASE WHEN credit = 2 THEN amount WHEN debit = 2 THEN -amount ELSE 0 END) OVER o, at
FROM moved WINDOW o AS (PARTITION BY ws ORDER BY at, ref, step ROWS UNBOUNDED PRECEDING);

INSERT INTO balance (workspace_id, available_msat, locked_msat, version)
SELECT DISTINCT ON (workspace_id) workspace_id, available_after_msat, locked_after_msat, sequence
FROM transfer ORDER BY workspace_id, sequence DESC;

INSERT INTO event (workspace_id, sequence, id, type, resource_id, payload, created_at)
SELECT e.ws, e.sequence, pg_temp.ident('evt', e.n), e.type, e.id, convert_to(json_build_object('id', pg_temp.ident('evt', e.n),
    'object', 'event', 'type', e.type, 'environment', 'sandbox', 'sequence', e.sequence, 'created_at', e.at,
    'data', json_build_object('object', json_build_object('id', e.id, 'status', e.status, 'amount_msat', e.amount,
        'amount_paid_msat', e.amount_paid, 'fee_msat', e.fee)))::text, 'UTF8'), e.at
FROM (
    SELECT ended.*, row_number() OVER (PARTITION BY ws ORDER BY at, id) AS sequence, row_number() OVER (ORDER BY ws, at, id) AS n
    FROM (
        SELECT ws, at, id, status, 'charge.' || status AS type, amount, amount_paid, 0 AS fee FROM c WHERE status <> 'pending'
        UNION ALL
        SELECT ws, at, id, status, 'withdrawal.' || status, amount, 0, least(node_fee, max_fee) FROM w WHERE status IN ('succeeded', 'failed')
    ) ended
) e;
INSERT INTO event_sequence (workspace_id, last) SELECT workspace_id, max(sequence) FROM event GROUP BY workspace_id;
