-- What the sweeper counts once a minute for the metrics. Each statement reads
-- only what is open, by a partial index, and answers at most one row for each
-- status and bucket.

-- CountPendingCharges counts by age, which the id tells: so the small index of
-- the pending ones is enough, and their rows, which may lie anywhere in a large
-- table, are not read. bucket is how many of the bounds, ids that ascend, the id
-- has reached.
-- name: CountPendingCharges :many
SELECT a.bucket, count(*) AS charges,
    coalesce((SELECT extract(epoch FROM now() - o.created_at) FROM charge o WHERE o.id = min(a.id)), 0)::float8 AS oldest_s
FROM (
    SELECT c.id, width_bucket(c.id, @bounds::text[])::int AS bucket FROM charge c WHERE c.status = 'pending'
) a GROUP BY a.bucket;

-- CountOtherCharges counts what is being created, and what has expired more than
-- two minutes ago and is not closed: who was due is found by the index of that.
-- name: CountOtherCharges :one
SELECT (SELECT count(*) FROM charge c WHERE c.status = 'creating' AND c.add_index IS NULL) AS creating,
    (SELECT count(*) FROM charge c WHERE c.status = 'pending' AND c.next_check_at <= now()
        AND c.expires_at < now() - interval '2 minutes') AS overdue;

-- CountOpenWithdrawals counts by status and age since the first send, or since
-- they were made. They are few.
-- name: CountOpenWithdrawals :many
SELECT a.status, a.bucket, count(*) AS withdrawals, max(a.age_s)::float8 AS oldest_s,
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
