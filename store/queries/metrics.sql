-- What the sweeper counts once a minute for the metrics. Each statement reads
-- only what is open, by a partial index, and answers at most one row for each
-- status and bucket: with 100,000 open charges that is one pass over them.

-- CountOpenCharges counts by status and age since creation. bucket is how many
-- of the bounds, which ascend, the age has reached. Overdue are those that
-- should have been closed: nobody may pay them any more.
-- name: CountOpenCharges :many
SELECT a.status, a.bucket, count(*) AS charges, sum(a.age_s)::float8 AS sum_s, max(a.age_s)::float8 AS oldest_s,
    count(*) FILTER (WHERE a.overdue) AS overdue
FROM (
    SELECT c.status, extract(epoch FROM now() - c.created_at)::float8 AS age_s,
        width_bucket(extract(epoch FROM now() - c.created_at)::float8, @bounds_s::float8[])::int AS bucket,
        (c.status = 'pending' AND c.expires_at < now() - interval '2 minutes') AS overdue
    FROM charge c WHERE c.status IN ('creating', 'pending')
) a GROUP BY a.status, a.bucket;

-- CountOpenWithdrawals is the same of withdrawals, by their age since the first
-- send, or since they were made.
-- name: CountOpenWithdrawals :many
SELECT a.status, a.bucket, count(*) AS withdrawals, sum(a.age_s)::float8 AS sum_s, max(a.age_s)::float8 AS oldest_s,
    count(a.review_reason) AS under_review, sum(a.locked_msat)::bigint AS locked_msat
FROM (
    SELECT w.status, w.review_reason, w.amount_msat + w.max_fee_msat AS locked_msat,
        extract(epoch FROM now() - coalesce(w.sent_at, w.created_at))::float8 AS age_s,
        width_bucket(extract(epoch FROM now() - coalesce(w.sent_at, w.created_at))::float8, @bounds_s::float8[])::int AS bucket
    FROM withdrawal w WHERE w.status IN ('held', 'sending', 'following')
) a GROUP BY a.status, a.bucket;

-- CountOpenDeliveries: those that have failed at least once are failing.
-- name: CountOpenDeliveries :many
SELECT (d.attempts > 0)::boolean AS failing, count(*) AS deliveries,
    max(extract(epoch FROM now() - d.created_at))::float8 AS oldest_s
FROM delivery d WHERE d.next_check_at IS NOT NULL GROUP BY 1;

-- name: CountEndpoints :one
SELECT count(*) FILTER (WHERE status = 'enabled') AS enabled, count(*) FILTER (WHERE status = 'disabled') AS disabled,
    count(failing_since) AS failing
FROM webhook_endpoint WHERE deleted_at IS NULL;

-- name: CountUncreditedReceipts :one
SELECT count(*) AS receipts, coalesce(max(extract(epoch FROM now() - recorded_at)), 0)::float8 AS oldest_s
FROM receipt WHERE next_check_at IS NOT NULL;

-- ReceiptSettleIndex is the highest settle index among the receipts that were
-- recorded last: how far the watcher has come. 0 without any.
-- name: ReceiptSettleIndex :one
SELECT coalesce(max(r.settle_index), 0)::bigint AS settle_index FROM (
    SELECT settle_index FROM receipt WHERE node = @node ORDER BY recorded_at DESC LIMIT 100
) r;
