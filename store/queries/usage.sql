-- name: ReadChargeUsage :many
-- Buckets are in UTC and by creation: what became of the charges made in it.
-- Empty buckets are rows too. From and to are whole hours, as what is counted.
WITH bucket AS (
    SELECT generate_series(sqlc.arg(from_time)::timestamptz, sqlc.arg(to_time)::timestamptz - interval '1 microsecond',
        sqlc.arg(bucket)::interval) AS start
), used AS (
    SELECT date_bin(sqlc.arg(bucket)::interval, hour, sqlc.arg(from_time)::timestamptz) AS start,
        sum(created) AS created, sum(paid) AS paid, sum(expired) AS expired, sum(canceled) AS canceled,
        sum(amount_msat) AS amount_msat, sum(amount_paid_msat) AS amount_paid_msat
    FROM charge_usage_hour
    WHERE workspace_id = @workspace_id
      AND hour >= sqlc.arg(from_time)::timestamptz AND hour < sqlc.arg(to_time)::timestamptz
    GROUP BY 1
)
SELECT bucket.start::timestamptz AS start,
    coalesce(created, 0)::bigint AS created,
    coalesce(paid, 0)::bigint AS paid,
    coalesce(expired, 0)::bigint AS expired,
    coalesce(canceled, 0)::bigint AS canceled,
    coalesce(amount_msat, 0)::bigint AS amount_msat,
    coalesce(amount_paid_msat, 0)::bigint AS amount_paid_msat
FROM bucket LEFT JOIN used ON used.start = bucket.start
ORDER BY bucket.start;
